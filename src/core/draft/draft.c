/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/draft/draft.h"

#include "base/foreign.h"
#include "core/flows/flows.h"

#include <stdlib.h>
#include <string.h>

/* Docker's default network; it has no fixed addresses. */
#define DEFAULT_NETWORK "bridge"

static bool has_family(const struct engine_network *n, enum family f)
{
	return n->ipam[f].subnet.ip.family && (f == FAMILY_4 || n->ipv6);
}

static bool is_drafted(const struct engine_network *n)
{
	return n->bridge && (has_family(n, FAMILY_4) || has_family(n, FAMILY_6)) &&
	       strcmp(n->name, DEFAULT_NETWORK) != 0;
}

static const struct engine_network *network_of(const struct draft *d,
					       const struct engine_endpoint *e)
{
	const struct engine_network *n = engine_find_network(d->engine, e->network);

	return n && is_drafted(n) ? n : NULL;
}

/* The address in force, or the configured one; family 0: none on a network that is drafted. */
static struct ip address_of(const struct draft *d, const struct engine_endpoint *e, enum family f)
{
	const struct engine_network *n = network_of(d, e);
	struct ip in_force = f == FAMILY_6 ? e->ip6 : e->ip;

	if (!n || !has_family(n, f))
		return (struct ip){0};
	return in_force.family ? in_force : engine_address(e, f);
}

static bool is_at_home(const struct draft *d, const struct engine_endpoint *e)
{
	return address_of(d, e, FAMILY_4).family || address_of(d, e, FAMILY_6).family;
}

/* --- connections --- */

static const struct engine_container *holder(const struct draft *d, struct ip ip,
					     const struct engine_network **network)
{
	list_each (c, &d->engine->containers)
		list_each (e, &c->endpoints) {
			*network = network_of(d, e);
			if (ip.family && ip_equal(address_of(d, e, ip_family(ip)), ip))
				return c;
		}
	return NULL;
}

static const char *name_of(const struct draft *d, const struct engine_container *c)
{
	const char *service = engine_service(d->details, c->id);

	return *service ? service : c->name;
}

/* The containers that a name means. */
static uint32_t members(const struct draft *d, const char *name)
{
	uint32_t n = 0;

	list_each (c, &d->engine->containers)
		n += !strcmp(name_of(d, c), name);
	return n;
}

static uint64_t tuple_hash(const struct seen_connection *k)
{
	uint64_t hash = hash_more(HASH_START, &k->tuple.src, sizeof(k->tuple.src));

	hash = hash_more(hash, &k->tuple.answers, sizeof(k->tuple.answers));
	hash = hash_word(hash, k->tuple.dport);
	return hash_word(hash_word(hash, k->tuple.proto), k->sport);
}

static bool same_tuple(const struct seen_connection *a, const struct seen_connection *b)
{
	return ip_equal(a->tuple.src, b->tuple.src) &&
	       ip_equal(a->tuple.answers, b->tuple.answers) && a->tuple.proto == b->tuple.proto &&
	       a->tuple.dport == b->tuple.dport && a->sport == b->sport;
}

static bool is_known(struct draft *d, const struct connection *c, uint16_t sport)
{
	const struct seen_connection seen = {*c, sport};

	if (hash_index_find(&d->by_tuple, tuple_hash(&seen), i,
			    same_tuple(&d->known.items[i], &seen)) != NONE)
		return true;
	*list_add(d->a, &d->known) = seen;
	hash_index_grow(&d->by_tuple, d->a, &d->known, i, tuple_hash(&d->known.items[i]));
	return false;
}

void draft_see(struct draft *d, const struct connection *c, uint16_t sport)
{
	const struct engine_network *here, *there;
	const struct engine_container *from = holder(d, c->src, &here);
	const struct engine_container *to = holder(d, c->answers, &there);
	uint16_t port = c->answers_port ? c->answers_port : c->dport;
	struct seen_flow *flow;

	/* no policy decides about traffic within a network */
	if (!from || !to || here == there || is_known(d, c, sport))
		return;
	list_each (f, &d->flows)
		if (!strcmp(f->from, name_of(d, from)) && !strcmp(f->to, name_of(d, to)) &&
		    f->proto == c->proto && f->port == port) {
			f->times++;
			return;
		}
	flow = list_add(d->a, &d->flows);
	*flow = (struct seen_flow){.from = name_of(d, from),
				   .to = name_of(d, to),
				   .of_service = *engine_service(d->details, to->id) != '\0',
				   .proto = c->proto,
				   .port = port,
				   .times = 1};
	flow->members = members(d, flow->from) * members(d, flow->to);
}

/* Most specific first; flows between the same ends by ports. */
static int by_width(const void *left, const void *right)
{
	const struct seen_flow *a = left, *b = right;
	int order = (a->members > b->members) - (a->members < b->members);

	order = order ? order : strcmp(a->to, b->to);
	order = order ? order : strcmp(a->from, b->from);
	order = order ? order : (a->proto > b->proto) - (a->proto < b->proto);
	return order ? order : (a->port > b->port) - (a->port < b->port);
}

/* --- printing --- */

static void print_network(struct buf *out, const struct engine_network *n)
{
	static const struct {
		const char *subnet, *gateway;
	} fields[N_FAMILIES] = {{"subnet", "gateway"}, {"subnet6", "gateway6"}};
	const char *before = ": {";

	buf_puts(out, "    ");
	buf_json_string(out, n->name);
	for (enum family f = 0; f < N_FAMILIES; f++) {
		if (!has_family(n, f))
			continue;
		buf_json_member(out, before, fields[f].subnet, prefix_format(n->ipam[f].subnet).s);
		before = ", ";
		if (n->ipam[f].gateway.family)
			buf_json_member(out, before, fields[f].gateway,
					ip_format(n->ipam[f].gateway).s);
	}
	if (n->internal)
		buf_puts(out, ", \"internal\": true");
	if (n->apart)
		buf_puts(out,
			 ", \"options\": {\"com.docker.network.bridge.enable_icc\": \"false\"}");
	buf_puts(out, "}");
}

static void print_networks(struct buf *out, const struct draft *d)
{
	const char *comma = "\n";

	buf_puts(out, "  \"networks\": {");
	list_each (n, &d->engine->networks) {
		if (!is_drafted(n))
			continue;
		buf_puts(out, comma);
		print_network(out, n);
		comma = ",\n";
	}
	buf_puts(out, "\n  },\n");
}

static void print_addresses(struct buf *out, const struct draft *d)
{
	const char *comma = "\n";

	buf_puts(out, "  \"ips\": {");
	list_each (c, &d->engine->containers)
		list_each (e, &c->endpoints) {
			const char *service = engine_service(d->details, c->id);
			struct ip ip = address_of(d, e, FAMILY_4), ip6 = address_of(d, e, FAMILY_6);

			if (!is_at_home(d, e))
				continue;
			buf_printf(out, "%s    \"%s\": {", comma,
				   ip_format(ip.family ? ip : ip6).s);
			if (ip.family && ip6.family)
				buf_json_member(out, "", "ip6", ip_format(ip6).s);
			buf_json_member(out, ip.family && ip6.family ? ", " : "", "container_name",
					c->name);
			if (*service)
				buf_json_member(out, ", ", "service_name", service);
			buf_puts(out, "}");
			comma = ",\n";
		}
	buf_puts(out, "\n  },\n");
}

/* How many flows from here on differ from this one only in their port. */
static uint32_t print_policy(struct buf *out, const struct seen_flow *f, uint32_t left)
{
	uint32_t n = 0, times = 0;
	const char *comma = "";

	while (n < left && f[n].proto == f->proto && !strcmp(f[n].from, f->from) &&
	       !strcmp(f[n].to, f->to))
		times += f[n++].times;
	buf_json_member(out, "    {", f->of_service ? "service_name" : "container_name", f->to);
	buf_json_member(out, ", ", "from", f->from);
	if (f->port) {
		buf_puts(out, n > 1 ? ", \"port\": [" : ", \"port\": ");
		for (uint32_t i = 0; i < n; i++, comma = ", ")
			buf_printf(out, "%s%u", comma, f[i].port);
		buf_puts(out, n > 1 ? "]" : "");
	}
	if (strcmp(protocol_name(f->proto), "tcp") != 0)
		buf_json_member(out, ", ", "proto", protocol_name(f->proto));
	buf_printf(out, ", \"comment\": \"seen %u time%s\"}", times, times == 1 ? "" : "s");
	return n;
}

static bool has_word(const struct seen_flow *f)
{
	return protocol_has_name(f->proto);
}

static void print_policies(struct buf *out, struct draft *d)
{
	const char *comma = "\n";

	if (d->flows.n)
		qsort(d->flows.items, d->flows.n, sizeof(*d->flows.items), by_width);
	buf_puts(out, "  \"policies\": [");
	for (uint32_t i = 0; i < d->flows.n;) {
		if (!has_word(&d->flows.items[i])) {
			i++;
			continue;
		}
		buf_puts(out, comma);
		i += print_policy(out, &d->flows.items[i], d->flows.n - i);
		comma = ",\n";
	}
	buf_puts(out, *comma == ',' ? "\n  ]" : "]");
}

static const char *container_name(const struct draft *d, const char *id)
{
	list_each (c, &d->engine->containers)
		if (!strcmp(c->id, id))
			return c->name;
	return id;
}

/* Lists published ports, for people: Docker publishes them whatever the file says. */
static void print_published(struct buf *out, const struct draft *d)
{
	const char *comma = ",\n  \"x-published\": [\n";

	list_each (detail, &d->details->list)
		list_each (port, &detail->ports) {
			AUTO_BUF struct buf text = {0};

			if (!port->host)
				continue;
			buf_printf(&text, "%s%s%u -> %s %u/%s", port->address,
				   *port->address ? ":" : "", port->host,
				   container_name(d, detail->id), port->own, port->proto);
			buf_printf(out, "%s    ", comma);
			buf_json_string(out, buf_text(&text));
			comma = ",\n";
		}
	buf_puts(out, comma[2] ? "" : "\n  ]");
}

/* Lists what a file can't express, for people. */
static void print_left_out(struct buf *out, const struct draft *d)
{
	const char *comma = ",\n  \"x-left-out\": [\n";

	list_each (c, &d->engine->containers) {
		bool any = false;

		list_each (e, &c->endpoints)
			any |= is_at_home(d, e);
		if (any)
			continue;
		buf_printf(out, "%s    ", comma);
		buf_json_string(out,
				arena_printf(d->a,
					     "%s: it has no address on a bridge network of its own",
					     c->name));
		comma = ",\n";
	}
	buf_puts(out, comma[2] ? "" : "\n  ]");
}

void draft_print(struct buf *out, struct draft *d)
{
	buf_puts(out, "{\n");
	print_networks(out, d);
	print_addresses(out, d);
	print_policies(out, d);
	print_published(out, d);
	print_left_out(out, d);
	buf_puts(out, "\n}\n");
}
