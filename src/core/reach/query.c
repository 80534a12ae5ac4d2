/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/query.h"

#include "core/flowset/sets.h"

#include <netinet/in.h>

/* Addresses that are in no network of the file. False: there are none of this family. */
static bool limit_to_outside(struct flow_sets *s, struct flow_set *set, enum flow_field field,
			     const struct reach *reach, uint8_t family)
{
	range_list subnets = reach_subnets(reach, s->a);
	range_list outside = ranges_outside(s->a, &subnets, field);

	outside = ranges_of_family(s->a, &outside, family);
	limit_to_ranges(set, field, &outside);
	return outside.n;
}

static bool limit_to_end(struct flow_sets *s, struct flow_set *set, enum flow_field field,
			 const struct peers *peers, uint8_t family)
{
	range_list ranges = {0};

	for (uint32_t i = 0; i < peers->n; i++)
		if (peers->items[i].net.ip.family == family)
			*list_add(s->a, &ranges) = flow_range_of_prefix(peers->items[i].net);
	ranges = ranges_of_family(s->a, &ranges, family); /* ::/0 has a gap where IPv4 stands */
	limit_to_ranges(set, field, &ranges);
	return ranges.n;
}

static bool limit_to_source(struct flow_sets *s, struct flow_set *set, const struct reach *reach,
			    const struct reach_end *from, uint8_t family)
{
	switch (from->kind) {
	case END_PEERS:
		return limit_to_end(s, set, FLOW_SRC, from->peers, family);
	case END_ANY:
		limit_to_family(s, set, FLOW_SRC, family);
		break;
	case END_OUTSIDE:
		return limit_to_outside(s, set, FLOW_SRC, reach, family);
	case END_HOST:
		limit_to_value(s, set, FLOW_IN, REACH_IN_LOCAL);
		break;
	case END_INTERFACE:
		limit_to_family(s, set, FLOW_SRC, family);
		limit_to_value(s, set, FLOW_IN, from->in);
		break;
	}
	return true;
}

static bool limit_to_destination(struct flow_sets *s, struct flow_set *set,
				 const struct reach *reach, const struct reach_end *to,
				 uint8_t family)
{
	switch (to->kind) {
	case END_PEERS:
		return limit_to_end(s, set, FLOW_DST, to->peers, family);
	case END_ANY:
		limit_to_family(s, set, FLOW_DST, family);
		break;
	case END_OUTSIDE:
		return limit_to_outside(s, set, FLOW_DST, reach, family);
	case END_HOST:
		limit_to_value(s, set, FLOW_DST, REACH_SELF);
		break;
	case END_INTERFACE:
		limit_to_value(s, set, FLOW_DST, REACH_SELF);
		limit_to_value(s, set, FLOW_IN, to->in);
		break;
	}
	return true;
}

/* No packet has addresses of both families. "any" is IPv6 too where the file has some. */
static struct diagram asked(const struct reach *reach, const struct reach_query *query)
{
	bool is_wide = query->from.kind != END_PEERS && query->to.kind != END_PEERS;
	struct flow_sets sets = {.a = reach->pool->a};

	each_family (family)
		for (uint32_t i = 0; i < query->n_matches; i++) {
			struct flow_set *set = flow_sets_add(&sets, 1);

			if ((query->family && query->family != family) ||
			    (family == 6 && is_wide && !reach->config->has_ipv6) ||
			    !limit_to_source(&sets, set, reach, &query->from, family) ||
			    !limit_to_destination(&sets, set, reach, &query->to, family)) {
				sets.list.n--;
				continue;
			}
			/* both ends are the host: its source address tells the family */
			if (is_wide && query->from.kind == END_HOST && reach->config->has_ipv6)
				limit_to_family(&sets, set, FLOW_SRC, family);
			limit_to_traffic(&sets, set, traffic_in_family(query->matches[i], family));
			if (query->bound || query->borrowed)
				limit_to_value(&sets, set, FLOW_IN, query->in);
		}
	return flow_sets_build(&sets, reach->pool->diagrams);
}

void reach_query(struct reach_answer *answer, const struct reach *reach,
		 const struct reach_query *query)
{
	struct diagram_pool *pool = reach->pool->diagrams;
	bool to_host = query->to.kind == END_HOST || query->to.kind == END_INTERFACE;
	struct diagram open = to_host ? reach->spaces.items[0].doors : reach->open;

	answer->asked = asked(reach, query);
	if (query->from.kind != END_HOST && !query->borrowed)
		answer->asked = diagram_combine(pool, answer->asked, reach->genuine, DIAGRAM_AND);
	/* traffic that no policy decides is not part of "any" */
	if (query->from.kind == END_ANY && !to_host)
		answer->asked = diagram_combine(pool, answer->asked, reach->free, DIAGRAM_MINUS);
	answer->open = diagram_combine(pool, open, answer->asked, DIAGRAM_AND);
	answer->closed = diagram_combine(pool, answer->asked, open, DIAGRAM_MINUS);
}

static bool has(const struct flow_block *b, enum flow_field field, flow_value value)
{
	list_each (range, &b->fields[field])
		if (range->low <= value && value <= range->high)
			return true;
	return false;
}

/* The lowest value, or the one that is easiest to read. */
static uint32_t pick_number(const struct flow_block *b, enum flow_field field, uint32_t better)
{
	return has(b, field, better) ? better : (uint32_t)b->fields[field].items[0].low;
}

/* Of nearly everybody: an address that is nobody's (RFC 5737, RFC 3849). */
static struct ip pick_address(const struct flow_block *b, enum flow_field field)
{
	static const struct ip documented = {6, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	flow_value low = b->fields[field].items[0].low;

	if (low == REACH_SELF)
		return (struct ip){0};
	each_family (family) {
		flow_value nobodys = flow_value_of_ip(family == 4 ? ip_v4(0xc0000201) : documented);
		struct flow_range whole[MOST_FAMILY_RANGES];

		flow_ranges_of_family(whole, family);
		if (low == whole[0].low && has(b, field, nobodys))
			return flow_value_to_ip(nobodys);
	}
	return flow_value_to_ip(low);
}

bool reach_example(struct reach_flow *flow, const struct reach *reach, struct diagram set)
{
	AUTO_RELEASE struct arena a = {0};
	flow_blocks blocks = {0};
	const struct flow_block *b;

	diagram_blocks(&blocks, &a, reach->pool->diagrams, set, 1);
	if (!blocks.n)
		return false;
	b = blocks.items;
	*flow = (struct reach_flow){.src = pick_address(b, FLOW_SRC),
				    .dst = pick_address(b, FLOW_DST),
				    .in = (uint32_t)b->fields[FLOW_IN].items[0].low,
				    .proto = (uint8_t)pick_number(b, FLOW_PROTO, IPPROTO_TCP),
				    .port = (uint16_t)pick_number(b, FLOW_PORT, 80)};
	if (flow->proto == IPPROTO_ICMP || flow->proto == IPPROTO_ICMPV6)
		flow->port = (uint16_t)pick_number(
			b, FLOW_PORT, flow->proto == IPPROTO_ICMP ? ECHO_REQUEST : ECHO_REQUEST6);
	else if (!protocol_has_ports(flow->proto))
		flow->port = 0;
	return true;
}

/* --- what this host can try --- */

struct tries {
	flow_list *flows;
	struct arena *a;
	const struct reach *reach;
	const struct engine *engine;
	const struct reach_query *query;
	struct diagram subnets; /* to the networks of the file */
};

/* A container that runs, with one of its addresses on a bridge of the engine's. */
struct running_end {
	const struct engine_container *container;
	const struct engine_network *network;
	struct ip ip;
};

/* --- parts of a set --- */

static struct diagram within(const struct tries *t, struct diagram set, struct flow_sets *limits)
{
	return diagram_combine(t->reach->pool->diagrams, set,
			       flow_sets_build(limits, t->reach->pool->diagrams), DIAGRAM_AND);
}

static struct diagram of_value(const struct tries *t, struct diagram set, enum flow_field field,
			       flow_value value)
{
	struct flow_sets one = {.a = t->a};

	limit_to_value(&one, flow_sets_add(&one, 1), field, value);
	return within(t, set, &one);
}

static struct diagram of_traffic(const struct tries *t, struct diagram set, struct traffic match)
{
	struct flow_sets one = {.a = t->a};

	limit_to_traffic(&one, flow_sets_add(&one, 1), match);
	return within(t, set, &one);
}

static struct diagram to_family(const struct tries *t, struct diagram set, uint8_t family)
{
	struct flow_sets one = {.a = t->a};

	limit_to_family(&one, flow_sets_add(&one, 1), FLOW_DST, family);
	return within(t, set, &one);
}

static struct diagram to_subnets(const struct tries *t)
{
	struct flow_sets sets = {.a = t->a};
	range_list subnets = {0};

	list_each (network, &t->reach->config->networks)
		add_subnets(&subnets, t->a, network);
	if (subnets.n)
		limit_to_ranges(flow_sets_add(&sets, 1), FLOW_DST, &subnets);
	return flow_sets_build(&sets, t->reach->pool->diagrams);
}

/* --- who is there --- */

/* False: there is none behind `at`, which goes over all of them. */
static bool next_running_end(struct running_end *end, const struct engine *engine, uint32_t at[2])
{
	for (; at[0] < engine->containers.n; at[0]++, at[1] = 0) {
		const struct engine_container *c = &engine->containers.items[at[0]];

		while (c->running && at[1] < N_FAMILIES * c->endpoints.n) {
			enum family f = at[1] % N_FAMILIES;
			const struct engine_endpoint *e = &c->endpoints.items[at[1]++ / N_FAMILIES];
			const struct engine_network *n = engine_find_network(engine, e->network);
			struct ip ip = f == FAMILY_6 ? e->ip6 : e->ip;

			if (!ip.family || !n || !n->bridge)
				continue;
			*end = (struct running_end){c, n, ip};
			return true;
		}
	}
	return false;
}

static bool is_running_at(const struct engine *engine, struct ip ip)
{
	uint32_t at[2] = {0};
	struct running_end end;

	while (next_running_end(&end, engine, at))
		if (ip_equal(end.ip, ip))
			return true;
	return false;
}

/* --- flows --- */

static bool add_flow(struct tries *t, struct diagram set, struct traffic match)
{
	struct reach_flow flow;

	if (!reach_example(&flow, t->reach, of_traffic(t, set, match)))
		return true;
	if (t->flows->n == TRIES_MOST)
		return false;
	*list_add(t->a, t->flows) = flow;
	return true;
}

static bool add_flows(struct tries *t, struct diagram set)
{
	for (uint32_t i = 0; i < t->query->n_matches; i++) {
		struct traffic match = t->query->matches[i], match6 = traffic_in_family(match, 6);

		if (!add_flow(t, set, match) ||
		    (match6.proto != match.proto && !add_flow(t, set, match6)))
			return false;
	}
	return true;
}

/*
 * Of a container that does not run the host's rules decide all the same; but a neighbour asks it
 * for its hardware address first, and nobody answers.
 */
static bool add_stopped(struct tries *t, struct diagram set, const struct running_end *from)
{
	list_each (address, &t->reach->config->addresses) {
		struct diagram there;

		if (from && prefix_contains(from->network->ipam[ip_family(address->ip)].subnet,
					    address->ip))
			continue;
		there = of_value(t, set, FLOW_DST, flow_value_of_ip(address->ip));
		if (!diagram_is_empty(there) && !is_running_at(t->engine, address->ip) &&
		    !add_flows(t, there))
			return false;
	}
	return true;
}

/* from: NULL: this host. */
static bool add_from(struct tries *t, struct diagram set, const struct running_end *from)
{
	uint32_t at[2] = {0};
	struct running_end to;

	if (diagram_is_empty(set))
		return true;
	while (next_running_end(&to, t->engine, at))
		if ((!from || to.container != from->container) &&
		    !add_flows(t, of_value(t, set, FLOW_DST, flow_value_of_ip(to.ip))))
			return false;
	if (!add_stopped(t, set, from))
		return false;
	set = diagram_combine(t->reach->pool->diagrams, set, t->subnets, DIAGRAM_MINUS);
	each_family (family)
		if (!add_flows(t, to_family(t, set, family)))
			return false;
	/* to this host itself */
	return add_flows(t, of_value(t, set, FLOW_DST, REACH_SELF));
}

bool reach_tries(flow_list *flows, struct arena *a, const struct reach *reach,
		 const struct engine *engine, const struct reach_query *query)
{
	struct tries t = {flows, a, reach, engine, query, {0}};
	struct reach_answer answer;
	uint32_t at[2] = {0};
	struct running_end from;

	reach_query(&answer, reach, query);
	t.subnets = to_subnets(&t);
	while (query->from.kind != END_HOST && next_running_end(&from, engine, at)) {
		uint32_t in = reach_interface(reach->pool, from.network->bridge);
		struct diagram set =
			of_value(&t, answer.asked, FLOW_SRC, flow_value_of_ip(from.ip));

		if (!add_from(&t, of_value(&t, set, FLOW_IN, in), &from))
			return false;
	}
	return query->from.kind != END_HOST || add_from(&t, answer.asked, NULL);
}
