/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/query.h"

#include "core/flowset/sets.h"

#include <netinet/in.h>

static struct flow_range every_ip4(void)
{
	return flow_range_of_prefix((struct prefix){ip_v4(0), 0});
}

/* Addresses that are in no network of the file. */
static void limit_to_outside(struct flow_sets *s, struct flow_set *set, enum flow_field field,
			     const struct reach *reach)
{
	range_list subnets = {0}, outside, addresses = {0};
	struct flow_range every = every_ip4();

	list_each (network, &reach->config->networks)
		if (reach->bridges[network - reach->config->networks.items])
			*list_add(s->a, &subnets) = flow_range_of_prefix(network->subnet);
	outside = ranges_outside(s->a, &subnets, field);
	list_each (range, &outside) {
		struct flow_range part = *range;

		part.low = part.low < every.low ? every.low : part.low;
		part.high = part.high > every.high ? every.high : part.high;
		if (part.low <= part.high)
			*list_add(s->a, &addresses) = part;
	}
	limit_to_ranges(set, field, &addresses);
}

static void limit_to_source(struct flow_sets *s, struct flow_set *set, const struct reach *reach,
			    const struct reach_end *from)
{
	switch (from->kind) {
	case END_PEERS:
		limit_to_peers(s, set, FLOW_SRC, from->peers);
		break;
	case END_ANY:
		limit_to_range(s, set, FLOW_SRC, every_ip4());
		break;
	case END_OUTSIDE:
		limit_to_outside(s, set, FLOW_SRC, reach);
		break;
	case END_HOST:
		limit_to_value(s, set, FLOW_IN, REACH_IN_LOCAL);
		break;
	case END_INTERFACE:
		limit_to_range(s, set, FLOW_SRC, every_ip4());
		limit_to_value(s, set, FLOW_IN, from->in);
		break;
	}
}

static void limit_to_destination(struct flow_sets *s, struct flow_set *set,
				 const struct reach *reach, const struct reach_end *to)
{
	switch (to->kind) {
	case END_PEERS:
		limit_to_peers(s, set, FLOW_DST, to->peers);
		break;
	case END_ANY:
		limit_to_range(s, set, FLOW_DST, every_ip4());
		break;
	case END_OUTSIDE:
		limit_to_outside(s, set, FLOW_DST, reach);
		break;
	case END_HOST:
		limit_to_value(s, set, FLOW_DST, REACH_SELF);
		break;
	case END_INTERFACE:
		limit_to_value(s, set, FLOW_DST, REACH_SELF);
		limit_to_value(s, set, FLOW_IN, to->in);
		break;
	}
}

static struct diagram asked(const struct reach *reach, const struct reach_query *query)
{
	struct flow_sets sets = {.a = reach->pool->a};

	for (uint32_t i = 0; i < query->n_matches; i++) {
		struct flow_set *set = flow_sets_add(&sets, 1);

		limit_to_source(&sets, set, reach, &query->from);
		limit_to_destination(&sets, set, reach, &query->to);
		limit_to_traffic(&sets, set, query->matches[i]);
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
	if (query->from.kind != END_HOST)
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

/* For nearly every address: a documentation address (RFC 5737). */
static struct ip pick_address(const struct flow_block *b, enum flow_field field)
{
	flow_value low = b->fields[field].items[0].low;
	flow_value nobodys = flow_range_of_prefix(prefix_of(ip_v4(0xc0000201))).low;

	if (low == REACH_SELF)
		return (struct ip){0};
	if (low == every_ip4().low && has(b, field, nobodys))
		return flow_value_to_ip(nobodys);
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
	if (!match_has_ports((struct traffic){.proto = flow->proto}))
		flow->port = 0;
	return true;
}
