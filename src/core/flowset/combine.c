/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Diagrams made from diagrams. */
#include "base/hash.h"
#include "core/flowset/diagram.h"
#include "core/flowset/nodes.h"

/* --- combining --- */

enum { RESTRICT = DIAGRAM_UNLIKE + 1 }; /* cached like the other operations */

static uint32_t combine_leaves(uint32_t a, uint32_t b, uint32_t op)
{
	if (op == DIAGRAM_OR)
		return a != LEAF ? a : b;
	if (op == DIAGRAM_UNLIKE)
		return a != b ? a : LEAF;
	return (b != LEAF) == (op == DIAGRAM_AND) ? a : LEAF;
}

/* Where one operand decides alone. */
static bool is_decided(uint32_t *result, uint32_t a, uint32_t b, uint32_t op)
{
	if (a & LEAF && b & LEAF)
		*result = combine_leaves(a, b, op);
	else if (a == LEAF) /* the empty set */
		*result = op == DIAGRAM_OR ? b : LEAF;
	else if (b == LEAF)
		*result = op == DIAGRAM_AND ? LEAF : a;
	else if (a == b)
		*result = op == DIAGRAM_MINUS || op == DIAGRAM_UNLIKE ? LEAF : a;
	else
		return false;
	return true;
}

static struct memo *memo_slot(struct diagram_pool *pool, uint32_t a, uint32_t b, uint32_t op)
{
	uint64_t at = hash_word(hash_word(HASH_START, (uint64_t)a << 32 | b), op);
	struct memo *slot;

	do
		slot = &pool->memos[at++ & (pool->cap_memos - 1)];
	while (slot->used && (slot->a != a || slot->b != b || slot->op != op));
	return slot;
}

static bool is_known(struct diagram_pool *pool, uint32_t *result, uint32_t a, uint32_t b,
		     uint32_t op)
{
	const struct memo *slot = pool->cap_memos ? memo_slot(pool, a, b, op) : NULL;

	if (slot && slot->used)
		*result = slot->result;
	return slot && slot->used;
}

static void remember(struct diagram_pool *pool, struct memo memo)
{
	const struct memo *old = pool->memos;
	uint32_t cap = pool->cap_memos;

	if (2 * pool->n_memos >= cap) {
		pool->cap_memos = cap ? 2 * cap : 1024;
		pool->memos = arena_array(pool->a, struct memo, pool->cap_memos);
		for (uint32_t i = 0; i < cap; i++)
			if (old[i].used)
				*memo_slot(pool, old[i].a, old[i].b, old[i].op) = old[i];
	}
	*memo_slot(pool, memo.a, memo.b, memo.op) = memo;
	pool->n_memos++;
}

/* The k-th edge of a node for this field. A node of a later field has one edge, to itself. */
static struct edge edge_at(const struct diagram_pool *pool, uint32_t ref, uint32_t field,
			   uint32_t k)
{
	if (field_of(pool, ref) != field)
		return (struct edge){flow_most[field], ref};
	return pool->nodes.items[ref].edges[k];
}

static uint32_t combine(struct diagram_pool *pool, uint32_t a, uint32_t b, uint32_t op)
{
	uint32_t field =
		field_of(pool, a) < field_of(pool, b) ? field_of(pool, a) : field_of(pool, b);
	AUTO_RELEASE struct arena scratch = {0};
	edge_list edges = {0};
	uint32_t i = 0, k = 0, result = LEAF;
	flow_value high;

	if (is_decided(&result, a, b, op) || is_known(pool, &result, a, b, op))
		return result;
	do {
		struct edge left = edge_at(pool, a, field, i), right = edge_at(pool, b, field, k);

		high = left.high < right.high ? left.high : right.high;
		add_edge(&edges, &scratch, high, combine(pool, left.to, right.to, op));
		i += left.high == high;
		k += right.high == high;
	} while (high < flow_most[field]);
	result = find_node(pool, field, edges.items, edges.n);
	remember(pool, (struct memo){a, b, op, result, true});
	return result;
}

struct diagram diagram_combine(struct diagram_pool *pool, struct diagram a, struct diagram b,
			       enum diagram_op op)
{
	return (struct diagram){combine(pool, a.ref, b.ref, op)};
}

/* --- relabelling --- */

static uint32_t relabel(struct diagram_pool *pool, uint32_t ref, const uint32_t *leaves,
			uint32_t *done)
{
	AUTO_RELEASE struct arena scratch = {0};
	edge_list edges = {0};

	if (ref == LEAF)
		return LEAF;
	if (ref & LEAF)
		return LEAF | (leaves ? leaves[ref & ~LEAF] : 1);
	if (done[ref])
		return done[ref] - 1;
	for (uint32_t i = 0; i < pool->nodes.items[ref].n; i++) {
		struct edge edge = pool->nodes.items[ref].edges[i];

		add_edge(&edges, &scratch, edge.high, relabel(pool, edge.to, leaves, done));
	}
	done[ref] = find_node(pool, pool->nodes.items[ref].field, edges.items, edges.n) + 1;
	return done[ref] - 1;
}

struct diagram diagram_relabel(struct diagram_pool *pool, struct diagram d, const uint32_t *leaves)
{
	AUTO_RELEASE struct arena scratch = {0};
	uint32_t *done = arena_array(&scratch, uint32_t, pool->nodes.n);

	return (struct diagram){relabel(pool, d.ref, leaves, done)};
}

/* --- leaving out values that nobody asks about --- */

static uint32_t forget(struct diagram_pool *pool, uint32_t ref, uint32_t field, uint32_t *done)
{
	AUTO_RELEASE struct arena scratch = {0};
	edge_list edges = {0};
	uint32_t some = LEAF;

	if (field_of(pool, ref) > field)
		return ref;
	if (done[ref])
		return done[ref] - 1;
	for (uint32_t i = 0; i < pool->nodes.items[ref].n; i++) {
		struct edge edge = pool->nodes.items[ref].edges[i];

		if (field_of(pool, ref) == field)
			some = combine(pool, some, edge.to, DIAGRAM_OR);
		else
			add_edge(&edges, &scratch, edge.high, forget(pool, edge.to, field, done));
	}
	if (field_of(pool, ref) < field)
		some = find_node(pool, field_of(pool, ref), edges.items, edges.n);
	done[ref] = some + 1;
	return some;
}

struct diagram diagram_forget(struct diagram_pool *pool, struct diagram d, enum flow_field field)
{
	AUTO_RELEASE struct arena scratch = {0};
	uint32_t *done = arena_array(&scratch, uint32_t, pool->nodes.n);

	return (struct diagram){forget(pool, d.ref, field, done)};
}

#define ANYTHING UINT32_MAX /* a result: no flow here is in `care` */

/* The union over all values of the field that the node asks first. */
static uint32_t some_care(struct diagram_pool *pool, uint32_t care)
{
	uint32_t some = LEAF;

	for (uint32_t i = 0; i < pool->nodes.items[care].n; i++)
		some = combine(pool, some, pool->nodes.items[care].edges[i].to, DIAGRAM_OR);
	return some;
}

/* Values outside of `care`, up to high, join a neighbour, preferably one that is empty. */
static void fill_gap(edge_list *edges, flow_value high, uint32_t next)
{
	struct edge *last = edges->n ? &edges->items[edges->n - 1] : NULL;

	if (last && (last->to == LEAF || next != LEAF))
		last->high = high;
}

static uint32_t restrict_to(struct diagram_pool *pool, uint32_t d, uint32_t care);

static uint32_t restrict_edges(struct diagram_pool *pool, uint32_t d, uint32_t care, uint32_t field)
{
	AUTO_RELEASE struct arena scratch = {0};
	edge_list edges = {0};
	uint32_t i = 0, k = 0;
	flow_value high, gap_high = 0;
	bool gap = false;

	do {
		struct edge left = edge_at(pool, d, field, i),
			    right = edge_at(pool, care, field, k);
		uint32_t to = restrict_to(pool, left.to, right.to);

		high = left.high < right.high ? left.high : right.high;
		i += left.high == high;
		k += right.high == high;
		if (to != ANYTHING && gap)
			fill_gap(&edges, gap_high, to);
		if (to != ANYTHING)
			add_edge(&edges, &scratch, high, to);
		gap = to == ANYTHING;
		gap_high = high;
	} while (high < flow_most[field]);
	if (!edges.n)
		return ANYTHING;
	edges.items[edges.n - 1].high = flow_most[field];
	return find_node(pool, field, edges.items, edges.n);
}

static uint32_t restrict_to(struct diagram_pool *pool, uint32_t d, uint32_t care)
{
	uint32_t result;

	if (care == LEAF)
		return ANYTHING;
	if (d & LEAF || care & LEAF)
		return d;
	if (is_known(pool, &result, d, care, RESTRICT))
		return result;
	if (field_of(pool, care) < field_of(pool, d))
		result = restrict_to(pool, d, some_care(pool, care));
	else
		result = restrict_edges(pool, d, care, field_of(pool, d));
	remember(pool, (struct memo){d, care, RESTRICT, result, true});
	return result;
}

struct diagram diagram_restrict(struct diagram_pool *pool, struct diagram d, struct diagram care)
{
	uint32_t result = restrict_to(pool, d.ref, care.ref);

	return (struct diagram){result == ANYTHING ? LEAF : result};
}
