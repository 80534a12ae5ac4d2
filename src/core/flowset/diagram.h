/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of flows as decision diagrams: a node asks one field and has an edge for each interval of
 * its values; a leaf is a number, 0 for "no". Fields are asked in one order, equal nodes exist
 * once, and a node whose edges all lead to one place is left out. So a set has one diagram only:
 * two sets are equal exactly if their diagrams are the same reference. Members of a service share
 * what lies below them, so a diagram grows with the file and not with the product of its lists.
 * Pure.
 */
#pragma once

#include "base/arena.h"
#include "core/flowset/flow.h"

/*
 * What one policy admits: for every field a list of ranges, in any order, maybe overlapping. No
 * ranges: every value. leaf: not 0.
 */
struct flow_set {
	struct {
		const struct flow_range *ranges;
		uint32_t n;
	} fields[N_FLOW_FIELDS];
	uint32_t leaf;
};

/* A reference to a node or a leaf of a pool. */
struct diagram {
	uint32_t ref;
};

struct diagram_pool; /* opaque */
struct diagram_pool *diagram_pool_new(struct arena *a);

/* The same leaf for every flow; leaf 0: the empty set. */
struct diagram diagram_every(uint32_t leaf);
/* Each flow gets the leaf of the first set that contains it; 0: none does. */
struct diagram diagram_build(struct diagram_pool *pool, const struct flow_set *sets, uint32_t n);
uint32_t diagram_ask(const struct diagram_pool *pool, struct diagram d,
		     const flow_value flow[N_FLOW_FIELDS]);

/* The result has the leaves of a; for DIAGRAM_OR those of b outside of a. */
enum diagram_op {
	DIAGRAM_AND,
	DIAGRAM_OR,
	DIAGRAM_MINUS,
	DIAGRAM_UNLIKE, /* flows whose leaves differ */
};
struct diagram diagram_combine(struct diagram_pool *pool, struct diagram a, struct diagram b,
			       enum diagram_op op);
/* Replaces leaf i by leaves[i]; 0 stays 0. leaves NULL: each becomes 1. */
struct diagram diagram_relabel(struct diagram_pool *pool, struct diagram d, const uint32_t *leaves);
/* Flows for which some value of the field is in the set; afterwards nothing asks the field. */
struct diagram diagram_forget(struct diagram_pool *pool, struct diagram d, enum flow_field field);
/*
 * A diagram that agrees with d on every flow in `care` and asks as few questions as necessary. What
 * it says of other flows is arbitrary (the "restrict" of Coudert and Madre, 1990).
 */
struct diagram diagram_restrict(struct diagram_pool *pool, struct diagram d, struct diagram care);

static inline bool diagram_equal(struct diagram a, struct diagram b)
{
	return a.ref == b.ref;
}

static inline bool diagram_is_empty(struct diagram d)
{
	return d.ref == 1U << 31; /* leaf 0 */
}

/* Every combination of these values, one per field. */
struct flow_block {
	struct flow_ranges {
		struct flow_range *items; /* sorted, without overlaps and neighbours joined */
		uint32_t n;
	} fields[N_FLOW_FIELDS];
	uint32_t leaf;
};
typedef LIST(struct flow_block) flow_blocks;
/*
 * Lists the set as disjoint blocks. Values with the same continuation are listed together, so a
 * service that reaches a service is one block. False: there are more than `most`; the list is
 * incomplete.
 */
bool diagram_blocks(flow_blocks *blocks, struct arena *a, const struct diagram_pool *pool,
		    struct diagram d, uint32_t most);
/* Sets seen[leaf] for each leaf of the diagram. */
void diagram_leaves(bool *seen, const struct diagram_pool *pool, struct diagram d);
uint32_t diagram_pool_nodes(const struct diagram_pool *pool);
