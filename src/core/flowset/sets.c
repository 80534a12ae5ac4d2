/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/flowset/sets.h"

#include <stdlib.h>

static void limit(struct flow_set *set, enum flow_field field, const struct flow_range *ranges,
		  uint32_t n)
{
	set->fields[field].ranges = ranges;
	set->fields[field].n = n;
}

void limit_to_range(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		    struct flow_range range)
{
	struct flow_range *kept = arena_new(s->a, struct flow_range);

	*kept = range;
	limit(set, field, kept, 1);
}

void limit_to_value(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		    flow_value value)
{
	limit_to_range(s, set, field, (struct flow_range){value, value});
}

void limit_to_prefix(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		     struct prefix prefix)
{
	if (prefix.ip.family)
		limit_to_range(s, set, field, flow_range_of_prefix(prefix));
}

void limit_to_ranges(struct flow_set *set, enum flow_field field, const range_list *ranges)
{
	limit(set, field, ranges->items, ranges->n);
}

void limit_to_traffic(struct flow_sets *s, struct flow_set *set, struct traffic match)
{
	if (match.proto)
		limit_to_value(s, set, FLOW_PROTO, match.proto);
	if (!match_every_port(match))
		limit_to_range(s, set, FLOW_PORT, (struct flow_range){match.low, match.high});
}

static const struct flow_range *ranges_of(struct flow_sets *s, const struct peers *peers)
{
	uint64_t hash = hash_word(HASH_START, (uintptr_t)peers);
	uint32_t at = hash_index_find(&s->by_peers, hash, i, s->known.items[i].peers == peers);
	struct flow_range *ranges;

	if (at != NONE)
		return s->known.items[at].ranges;
	ranges = arena_array(s->a, struct flow_range, peers->n);
	for (uint32_t i = 0; i < peers->n; i++)
		ranges[i] = flow_range_of_prefix(peers->items[i].net);
	*list_add(s->a, &s->known) = (struct ranges_of_peers){peers, ranges};
	hash_index_grow(&s->by_peers, s->a, &s->known, i,
			hash_word(HASH_START, (uintptr_t)s->known.items[i].peers));
	return ranges;
}

void limit_to_peers(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		    const struct peers *peers)
{
	limit(set, field, ranges_of(s, peers), peers->n);
}

void limit_to_family(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		     uint8_t family)
{
	struct flow_range *ranges = arena_array(s->a, struct flow_range, MOST_FAMILY_RANGES);

	limit(set, field, ranges, flow_ranges_of_family(ranges, family));
}

struct flow_set *flow_sets_add(struct flow_sets *s, uint32_t leaf)
{
	struct flow_set *set = list_add(s->a, &s->list);

	*set = (struct flow_set){.leaf = leaf};
	return set;
}

range_list ranges_outside(struct arena *a, range_list *ranges, enum flow_field field)
{
	range_list rest = {0};
	flow_value next = 0;

	if (ranges->n)
		qsort(ranges->items, ranges->n, sizeof(*ranges->items), flow_range_by_low);
	list_each (range, ranges) {
		if (range->low > next)
			*list_add(a, &rest) = (struct flow_range){next, range->low - 1};
		if (range->high == flow_most[field])
			return rest;
		next = range->high >= next ? range->high + 1 : next;
	}
	*list_add(a, &rest) = (struct flow_range){next, flow_most[field]};
	return rest;
}

range_list ranges_of_family(struct arena *a, const range_list *ranges, uint8_t family)
{
	struct flow_range whole[MOST_FAMILY_RANGES];
	uint32_t n = flow_ranges_of_family(whole, family);
	range_list found = {0};

	list_each (range, ranges)
		for (uint32_t i = 0; i < n; i++) {
			struct flow_range part = *range;

			part.low = part.low < whole[i].low ? whole[i].low : part.low;
			part.high = part.high > whole[i].high ? whole[i].high : part.high;
			if (part.low <= part.high)
				*list_add(a, &found) = part;
		}
	return found;
}

struct diagram flow_sets_build(struct flow_sets *s, struct diagram_pool *pool)
{
	struct diagram d = diagram_build(pool, s->list.items, s->list.n);

	s->list.n = 0;
	return d;
}
