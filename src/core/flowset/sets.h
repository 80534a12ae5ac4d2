/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of flows, limited field by field; diagrams are built from them. Pure. */
#pragma once

#include "base/hash_index.h"
#include "core/flows/flows.h"
#include "core/flowset/diagram.h"

typedef LIST(struct flow_range) range_list;

struct flow_sets {
	struct arena *a;
	LIST(struct flow_set) list;
	/* The ranges of a list of peers, cached because many policies name the same list. */
	LIST(struct ranges_of_peers {
		const struct peers *peers;
		const struct flow_range *ranges;
	})
	known;
	struct hash_index by_peers;
};

/* Adds a set without limits; the pointer is valid until the next one is added. */
struct flow_set *flow_sets_add(struct flow_sets *s, uint32_t leaf);
void limit_to_value(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		    flow_value value);
void limit_to_range(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		    struct flow_range range);
/* Limits a field to a prefix. Family 0: no limit. */
void limit_to_prefix(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		     struct prefix prefix);
/* The list must not be empty: an empty limit would mean no limit. */
void limit_to_ranges(struct flow_set *set, enum flow_field field, const range_list *ranges);
void limit_to_peers(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		    const struct peers *peers);
void limit_to_family(struct flow_sets *s, struct flow_set *set, enum flow_field field,
		     uint8_t family);
/* Every protocol and every port are no limit. */
void limit_to_traffic(struct flow_sets *s, struct flow_set *set, struct traffic match);
/* Builds the diagram of the list and empties the list. */
struct diagram flow_sets_build(struct flow_sets *s, struct diagram_pool *pool);

/* Every value of the field that is in none of them; they are sorted then. */
range_list ranges_outside(struct arena *a, range_list *ranges, enum flow_field field);
/* The parts of them that are addresses of a family. */
range_list ranges_of_family(struct arena *a, const range_list *ranges, uint8_t family);
