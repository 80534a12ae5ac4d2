/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/logged/advice.h"

#include "base/foreign.h"

#include <stdlib.h>
#include <string.h>

/* --- names --- */

static bool is_somebodys_name(const struct config *config, const char *text)
{
	list_each (address, &config->addresses) {
		const uint32_t names[] = {address->container_name, address->selector,
					  address->service_name};

		for (size_t i = 0; i < COUNT_OF(names); i++)
			if (names[i] && !strcmp(config_name(config, names[i]), text))
				return true;
	}
	return false;
}

/* A container of the same name would be found before the network. */
static const char *name_of_network(struct arena *a, const struct config *config, struct ip ip)
{
	const struct network *network =
		&config->networks.items[config_network_of(config, prefix_of(ip))];
	struct prefix subnet = network->ipam[ip_family(ip)].subnet;

	return is_somebodys_name(config, network->key)
		       ? arena_strdup(a, prefix_format_full(subnet).s)
		       : network->key;
}

static const char *name_of_address(struct arena *a, const struct config *config, struct ip ip)
{
	uint32_t i = config_address_of(config, ip);
	const struct address *address = i == NONE ? NULL : &config->addresses.items[i];

	if (address && !address_container(address) && address->service_name)
		return config_name(config, address->service_name);
	return logged_name(a, config, ip);
}

const char *audit_source_name(struct arena *a, const struct config *config, struct ip source)
{
	if (!source.family)
		return "host";
	return config_address_of(config, source) == NONE ? name_of_network(a, config, source)
							 : name_of_address(a, config, source);
}

const char *audit_target_name(struct arena *a, const struct config *config,
			      const struct audit_flow *flow)
{
	if (flow->target == AUDIT_HOST)
		return "host";
	return flow->target == AUDIT_ANY ? "any" : name_of_address(a, config, flow->dst);
}

const char *audit_without_policy(const struct config *config, const struct audit_source *source,
				 const struct audit_flow *flow)
{
	if (!protocol_has_name(flow->proto))
		return "no policy is about it alone";
	if (!source->into)
		return NULL;
	if (!source->ip.family)
		return "a program of this host serves a published port: ask the container itself";
	return config_address_of(config, source->ip) == NONE
		       ? "strict lets nothing to addresses that ips does not name"
		       : NULL;
}

/* --- one policy for many flows --- */

static int by_policy(const void *left, const void *right)
{
	const struct advice *a = left, *b = right;
	int order = strcmp(a->subject, b->subject);

	order = order ? order : a->into - b->into;
	order = order ? order : (a->target > b->target) - (a->target < b->target);
	order = order ? order : strcmp(a->to.items[0], b->to.items[0]);
	order = order ? order : (a->proto > b->proto) - (a->proto < b->proto);
	return order ? order
		     : (a->ports.items[0] > b->ports.items[0]) -
			       (a->ports.items[0] < b->ports.items[0]);
}

static void add_flow(advice_list *list, struct arena *a, const struct config *config,
		     const struct audit_source *source, const struct audit_flow *flow)
{
	struct advice *advice = list_add(a, list);

	*advice = (struct advice){.subject = audit_source_name(a, config, source->ip),
				  .into = source->into,
				  .target = flow->target,
				  .proto = flow->proto,
				  .count = flow->count,
				  .whole_network = config_address_of(config, source->ip) == NONE};
	*list_add(a, &advice->to) = audit_target_name(a, config, flow);
	*list_add(a, &advice->ports) = flow->port;
}

static bool same_ends(const struct advice *a, const struct advice *b)
{
	return !strcmp(a->subject, b->subject) && a->into == b->into && a->proto == b->proto &&
	       a->target == b->target;
}

/* Neighbours of the sorted list that differ in their ports alone. */
static void join_ports(advice_list *list, struct arena *a)
{
	uint32_t n = 0;

	list_each (advice, list) {
		struct advice *last = n ? &list->items[n - 1] : NULL;

		if (!last || !same_ends(last, advice) ||
		    strcmp(last->to.items[0], advice->to.items[0]) != 0) {
			list->items[n++] = *advice;
			continue;
		}
		last->count += advice->count;
		if (last->ports.items[last->ports.n - 1] != advice->ports.items[0])
			*list_add(a, &last->ports) = advice->ports.items[0];
	}
	list->n = n;
}

static bool same_ports(const struct advice *a, const struct advice *b)
{
	return a->ports.n == b->ports.n &&
	       !memcmp(a->ports.items, b->ports.items, a->ports.n * sizeof(*a->ports.items));
}

/* An earlier policy of the same subject for the same ports of the outside; NULL: none. */
static struct advice *find_beside(const advice_list *list, uint32_t n, const struct advice *advice)
{
	if (advice->target != AUDIT_OUTSIDE)
		return NULL;
	while (n-- && !strcmp(list->items[n].subject, advice->subject))
		if (same_ends(&list->items[n], advice) && same_ports(&list->items[n], advice))
			return &list->items[n];
	return NULL;
}

static void join_targets(advice_list *list, struct arena *a)
{
	uint32_t n = 0;

	list_each (advice, list) {
		struct advice *beside = find_beside(list, n, advice);

		if (!beside) {
			list->items[n++] = *advice;
			continue;
		}
		beside->count += advice->count;
		*list_add(a, &beside->to) = advice->to.items[0];
	}
	list->n = n;
}

/* A policy for who asks allows it, too, and is listed. */
static bool is_said(const struct audit *audit, const struct audit_source *target,
		    const struct audit_flow *flow)
{
	list_each (source, &audit->sources) {
		if (source->into || !ip_equal(source->ip, flow->dst))
			continue;
		list_each (other, &source->flows)
			if (other->target == AUDIT_NETWORK && other->proto == flow->proto &&
			    other->port == flow->port && ip_equal(other->dst, target->ip))
				return true;
	}
	return false;
}

void advice_make(advice_list *list, struct arena *a, const struct audit *audit,
		 const struct config *config)
{
	list_each (source, &audit->sources)
		list_each (flow, &source->flows)
			if (!audit_without_policy(config, source, flow) &&
			    !(source->into && is_said(audit, source, flow)))
				add_flow(list, a, config, source, flow);
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), by_policy);
	join_ports(list, a);
	join_targets(list, a);
}

/* --- as JSON --- */

static void print_peers(struct buf *out, const struct advice *advice)
{
	buf_printf(out, ", \"%s\": %s", advice->into ? "from" : "to", advice->to.n > 1 ? "[" : "");
	for (uint32_t i = 0; i < advice->to.n; i++) {
		buf_puts(out, i ? ", " : "");
		buf_json_string(out, advice->to.items[i]);
	}
	buf_puts(out, advice->to.n > 1 ? "]" : "");
}

static void print_ports(struct buf *out, const struct advice *advice)
{
	if (!protocol_has_ports(advice->proto))
		return;
	buf_puts(out, advice->ports.n > 1 ? ", \"port\": [" : ", \"port\": ");
	for (uint32_t i = 0; i < advice->ports.n; i++)
		buf_printf(out, "%s%u", i ? ", " : "", advice->ports.items[i]);
	buf_puts(out, advice->ports.n > 1 ? "]" : "");
}

static void print_advice(struct buf *out, const struct advice *advice)
{
	buf_json_member(out, "{", "container_name", advice->subject);
	print_peers(out, advice);
	print_ports(out, advice);
	if (strcmp(protocol_name(advice->proto), "tcp") != 0)
		buf_json_member(out, ", ", "proto", protocol_name(advice->proto));
	buf_printf(out, ", \"comment\": \"seen %llu time%s", (unsigned long long)advice->count,
		   advice->count == 1 ? "" : "s");
	if (advice->target == AUDIT_ANY)
		buf_printf(out, ", at more than %d addresses", AUDIT_ADDRESSES);
	if (advice->whole_network)
		buf_puts(out, ", from addresses that ips does not name");
	buf_puts(out, "\"}");
}

void advice_print(struct buf *out, const advice_list *list, const char *indent)
{
	list_each (advice, list) {
		buf_printf(out, "%s%s", advice == list->items ? "" : ",\n", indent);
		print_advice(out, advice);
	}
}
