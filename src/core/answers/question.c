/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/answers/question.h"

#include "base/nearest.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum end_kind kind;
} words[] = {{"any", END_ANY}, {"outside", END_OUTSIDE}, {"host", END_HOST}};

static void add_address(struct peers *peers, const struct reach *reach, struct ip ip)
{
	if (ip.family)
		peers->items[peers->n++] = (struct peer){
			prefix_of(ip), NONE, config_network_of(reach->config, prefix_of(ip))};
}

/* The addresses of a container that the file does not know. */
static const struct peers *peers_of(struct arena *a, const struct reach *reach,
				    const struct engine_container *c)
{
	struct peers *peers = arena_take(a, sizeof(*peers));

	*peers = (struct peers){.items = arena_array(a, struct peer, 2 * c->endpoints.n),
				.match = MATCH_CONTAINER,
				.network = NONE};
	list_each (e, &c->endpoints) {
		add_address(peers, reach, e->ip);
		add_address(peers, reach, e->ip6);
	}
	return peers;
}

bool question_end(struct reach_end *end, struct arena *a, const struct reach *reach,
		  const struct engine *engine, const char *text)
{
	const struct engine_container *c = engine_find_container(engine, text);

	*end = (struct reach_end){.name = text};
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (!strcmp(words[i].name, text)) {
			end->kind = words[i].kind;
			return true;
		}
	end->kind = END_PEERS;
	end->peers = resolve_peers(a, reach->config, text);
	if (!end->peers->n && c)
		end->peers = peers_of(a, reach, c);
	if (end->peers->n)
		return true;
	end->kind = END_INTERFACE;
	end->in = reach_interface(reach->pool, text);
	return end->in != REACH_IN_OTHER;
}

static void add_name(struct arena *a, name_list *names, const char *name)
{
	if (name)
		*list_add(a, names) = name;
}

void question_unknown(struct error *err, const struct reach *reach, const struct engine *engine,
		      const char *text)
{
	AUTO_RELEASE struct arena a = {0};
	name_list names = {0};
	uint32_t i;

	list_each (name, &reach->config->names) {
		if (*name && !strcmp(*name, text)) {
			error_set(err, -1,
				  "\"%s\" has no address: \"ips\" does not declare it, and no "
				  "running container bears the name",
				  text);
			return;
		}
		add_name(&a, &names, *name);
	}
	list_each (network, &reach->config->networks) {
		add_name(&a, &names, network->key);
		add_name(&a, &names, network->name);
	}
	list_each (c, &engine->containers)
		add_name(&a, &names, c->name);
	for (size_t k = 0; k < COUNT_OF(words); k++)
		*list_add(&a, &names) = words[k].name;
	i = nearest(text, names.items, sizeof(*names.items), names.n);
	if (i != NONE)
		error_set(err, -1, "nothing is named \"%s\" (did you mean \"%s\"?)", text,
			  names.items[i]);
	else
		error_set(err, -1,
			  "nothing is named \"%s\"; expected a name from the file, an address, a "
			  "prefix (172.18.0.0/24), a container, an interface, any, outside or host",
			  text);
}

static bool take_number(uint16_t *number, const char **at)
{
	char *end;
	unsigned long value = **at >= '0' && **at <= '9' ? strtoul(*at, &end, 10) : 0;

	if (!value || value > UINT16_MAX)
		return false;
	*number = (uint16_t)value;
	*at = end;
	return true;
}

bool question_traffic(struct traffic *match, const char *text, struct error *err)
{
	const char *at = text;
	bool has_port;

	*match = (struct traffic){.proto = IPPROTO_TCP, .high = UINT16_MAX};
	has_port = take_number(&match->low, &at);
	if (has_port) {
		match->high = match->low;
		if (*at == '-' &&
		    (at++, !take_number(&match->high, &at) || match->high < match->low))
			goto wrong;
		if (!*at)
			return true;
		if (*at++ != '/')
			goto wrong;
	}
	if (!has_port && !strcmp(at, proto_name(PROTO_ECHO))) {
		*match = traffic_of(PROTO_ECHO);
		return true;
	}
	match->proto = protocol_number(at);
	if (match->proto ? !has_port || protocol_has_ports(match->proto) : !strcmp(at, "any"))
		return true;
wrong:
	return error_set(
		err, -1,
		"\"%s\" is not a port: expected 80, 53/udp, 8000-8100/tcp, or a protocol (tcp, "
		"udp, sctp, icmp, icmp/echo-request, any)",
		text);
}
