/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A diagram listed as blocks, and its leaves. */
#include "base/order.h"
#include "core/flowset/diagram.h"
#include "core/flowset/nodes.h"

struct walk {
	flow_blocks *blocks;
	struct arena *a;
	const struct diagram_pool *pool;
	uint32_t most;
	struct flow_block now;
};

static void set_every(struct walk *w, uint32_t field)
{
	struct flow_range *every = arena_new(w->a, struct flow_range);

	every->high = flow_most[field];
	w->now.fields[field] = (struct flow_ranges){every, 1};
}

/* Groups of a node's edges with the same target. */
static const uint32_t *order_by_target(struct arena *a, const struct node *node)
{
	return order_by_bytes(a, &node->edges[0].to, node->n, sizeof(struct edge),
			      sizeof(node->edges[0].to));
}

/* The values of the group that begins at *i; moves *i to the next group. */
static struct flow_ranges values_of(struct arena *a, const struct node *node, const uint32_t *order,
				    uint32_t *i)
{
	uint32_t to = node->edges[order[*i]].to;
	LIST(struct flow_range) ranges = {0};

	for (; *i < node->n && node->edges[order[*i]].to == to; ++*i) {
		uint32_t k = order[*i];

		*list_add(a, &ranges) = (struct flow_range){k ? node->edges[k - 1].high + 1 : 0,
							    node->edges[k].high};
	}
	return (struct flow_ranges){ranges.items, ranges.n};
}

static bool walk(struct walk *w, uint32_t ref, uint32_t field)
{
	const struct node *node;
	const uint32_t *order;

	if (ref == LEAF)
		return true;
	for (; field < field_of(w->pool, ref); field++)
		set_every(w, field);
	if (ref & LEAF) {
		if (w->blocks->n == w->most)
			return false;
		w->now.leaf = ref & ~LEAF;
		*list_add(w->a, w->blocks) = w->now;
		return true;
	}
	node = &w->pool->nodes.items[ref];
	order = order_by_target(w->a, node);
	for (uint32_t i = 0; i < node->n;) {
		uint32_t to = node->edges[order[i]].to;

		w->now.fields[field] = values_of(w->a, node, order, &i);
		if (!walk(w, to, field + 1))
			return false;
	}
	return true;
}

bool diagram_blocks(flow_blocks *blocks, struct arena *a, const struct diagram_pool *pool,
		    struct diagram d, uint32_t most)
{
	struct walk w = {.blocks = blocks, .a = a, .pool = pool, .most = most};

	return walk(&w, d.ref, 0);
}

static void find_leaves(bool *seen, bool *visited, const struct diagram_pool *pool, uint32_t ref)
{
	if (ref & LEAF) {
		seen[ref & ~LEAF] = true;
		return;
	}
	if (visited[ref])
		return;
	visited[ref] = true;
	for (uint32_t i = 0; i < pool->nodes.items[ref].n; i++)
		find_leaves(seen, visited, pool, pool->nodes.items[ref].edges[i].to);
}

void diagram_leaves(bool *seen, const struct diagram_pool *pool, struct diagram d)
{
	AUTO_RELEASE struct arena a = {0};

	find_leaves(seen, arena_array(&a, bool, pool->nodes.n), pool, d.ref);
}
