/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/query.h"

#include "core/flowset/sets.h"

#include <netinet/in.h>

/* Of one end; false: it has no address of this family. */
static bool limit_to_part(struct flow_sets *s, struct flow_set *set, enum flow_field field,
			  const range_list *ranges, uint8_t family)
{
	range_list part = ranges_of_family(s->a, ranges, family);

	limit_to_ranges(set, field, &part);
	return part.n != 0;
}

/* Addresses that are in no network of the file. */
static bool limit_to_outside(struct flow_sets *s, struct flow_set *set, enum flow_field field,
			     const struct reach *reach, uint8_t family)
{
	range_list subnets = {0}, outside;

	list_each (network, &reach->config->networks)
		if (reach->bridges[network - reach->config->networks.items])
			add_subnets(&subnets, s->a, network);
	outside = ranges_outside(s->a, &subnets, field);
	return limit_to_part(s, set, field, &outside, family);
}

static bool limit_to_end(struct flow_sets *s, struct flow_set *set, enum flow_field field,
			 const struct peers *peers, uint8_t family)
{
	range_list ranges = {0};

	for (uint32_t i = 0; i < peers->n; i++)
		if (peers->items[i].net.ip.family == family)
			*list_add(s->a, &ranges) = flow_range_of_prefix(peers->items[i].net);
	return limit_to_part(s, set, field, &ranges, family);
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

	for
		each_family(family) for (uint32_t i = 0; i < query->n_matches; i++)
		{
			struct flow_set *set = flow_sets_add(&sets, 1);

			if ((family == 6 && is_wide && !reach->config->has_ipv6) ||
			    !limit_to_source(&sets, set, reach, &query->from, family) ||
			    !limit_to_destination(&sets, set, reach, &query->to, family)) {
				sets.list.n--;
				continue;
			}
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

static bool has(const struct flow_block *b, enum flow_field field, flow_value value)
{
	list_each (range, &b->fields[field])
		if (range->low <= value && value <= range->high)
			return true;
	return false;
}

/* The lowest, or what speaks to people. */
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
	for
		each_family(family)
		{
			flow_value nobodys =
				flow_value_of_ip(family == 4 ? ip_v4(0xc0000201) : documented);
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
	if (!match_has_ports((struct traffic){.proto = flow->proto}))
		flow->port = 0;
	return true;
}
