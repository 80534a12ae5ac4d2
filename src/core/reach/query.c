/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/query.h"

#include "core/reach/sets.h"

static struct flow_range every_ip4(void)
{
	return flow_range_of_prefix((struct prefix){ip_v4(0), 0});
}

/* Addresses that are in no network of the file. */
static void limit_to_outside(struct flow_sets *s, struct flow_set *set, enum flow_field field,
			     const struct reach *reach)
{
	range_list subnets = {0}, outside;

	list_each (network, &reach->config->networks)
		if (reach->bridges[network - reach->config->networks.items])
			*list_add(s->a, &subnets) = flow_range_of_prefix(network->subnet);
	outside = ranges_outside(s->a, &subnets, field);
	/* the value of the namespace itself is no address */
	if (outside.n && outside.items[0].low == REACH_SELF)
		outside.items[0].low++;
	limit_to_ranges(set, field, &outside);
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
	/* what no policy decides is not what "any" asks about */
	if (query->from.kind == END_ANY && !to_host)
		answer->asked = diagram_combine(pool, answer->asked, reach->free, DIAGRAM_MINUS);
	answer->open = diagram_combine(pool, open, answer->asked, DIAGRAM_AND);
	answer->closed = diagram_combine(pool, answer->asked, open, DIAGRAM_MINUS);
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
	*flow = (struct reach_flow){.in = (uint32_t)b->fields[FLOW_IN].items[0].low,
				    .proto = (uint8_t)b->fields[FLOW_PROTO].items[0].low,
				    .port = (uint16_t)b->fields[FLOW_PORT].items[0].low};
	if (b->fields[FLOW_SRC].items[0].low != REACH_SELF)
		flow->src = flow_value_to_ip(b->fields[FLOW_SRC].items[0].low);
	if (b->fields[FLOW_DST].items[0].low != REACH_SELF)
		flow->dst = flow_value_to_ip(b->fields[FLOW_DST].items[0].low);
	return true;
}
