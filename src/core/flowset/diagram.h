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
 * What one policy admits: for every field a list of ranges, in any order, overlapping or not. No
 * ranges: every value. leaf: not 0.
 */
struct flow_set {
	struct {
		const struct flow_range *ranges;
		uint32_t n;
	} fields[N_FLOW_FIELDS];
	uint32_t leaf;
};

/* A reference to a node or a leaf, good in its pool. */
struct diagram {
	uint32_t ref;
};

struct diagram_pool; /* opaque */
struct diagram_pool *diagram_pool_new(struct arena *a);

/* The same leaf for every flow; 0: holds none. */
struct diagram diagram_every(uint32_t leaf);
/* The leaf of a flow is that of the first set that holds it, 0: none does. */
struct diagram diagram_build(struct diagram_pool *pool, const struct flow_set *sets, uint32_t n);
uint32_t diagram_ask(const struct diagram_pool *pool, struct diagram d,
		     const flow_value flow[N_FLOW_FIELDS]);

/* Leaves come from a; of DIAGRAM_OR from b where a has none. */
enum diagram_op {
	DIAGRAM_AND,
	DIAGRAM_OR,
	DIAGRAM_MINUS,
	DIAGRAM_UNLIKE, /* where the leaves of both differ */
};
struct diagram diagram_combine(struct diagram_pool *pool, struct diagram a, struct diagram b,
			       enum diagram_op op);
/* Leaf i becomes leaves[i], 0 stays 0. No leaves: each becomes 1, what is in by whomever. */
struct diagram diagram_relabel(struct diagram_pool *pool, struct diagram d, const uint32_t *leaves);
/* What holds for some value of the field, whichever: nothing asks it any more. */
struct diagram diagram_forget(struct diagram_pool *pool, struct diagram d, enum flow_field field);
/*
 * One that says the same of every flow in `care`, with as few questions as it needs: what it says
 * of other flows is whatever makes it short (the "restrict" of Coudert and Madre, 1990).
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

/* Every combination of these values, one of each field. */
struct flow_block {
	struct flow_ranges {
		struct flow_range *items; /* sorted, with gaps between them */
		uint32_t n;
	} fields[N_FLOW_FIELDS];
	uint32_t leaf;
};
typedef LIST(struct flow_block) flow_blocks;
/*
 * A set as disjoint blocks: values behind which all is alike stand together, so that a service that
 * reaches a service is one block. False: there are more than `most`, and the list ends there.
 */
bool diagram_blocks(flow_blocks *blocks, struct arena *a, const struct diagram_pool *pool,
		    struct diagram d, uint32_t most);
/* Which leaves the diagram has: sets seen[leaf] of each. */
void diagram_leaves(bool *seen, const struct diagram_pool *pool, struct diagram d);
uint32_t diagram_pool_nodes(const struct diagram_pool *pool);
