/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/flowset/nodes.h"

#include "base/hash.h"

#include <string.h>

static uint64_t hash_of(uint32_t field, const struct edge *edges, uint32_t n)
{
	uint64_t hash = hash_word(HASH_START, (uint64_t)field << 32 | n);

	for (uint32_t i = 0; i < n; i++) {
		hash = hash_word(hash, (uint64_t)(edges[i].high >> 64));
		hash = hash_word(hash, (uint64_t)edges[i].high);
		hash = hash_word(hash, edges[i].to);
	}
	return hash;
}

static bool is_node(const struct node *node, uint32_t field, const struct edge *edges, uint32_t n)
{
	if (node->field != field || node->n != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (node->edges[i].high != edges[i].high || node->edges[i].to != edges[i].to)
			return false;
	return true;
}

static void grow_table(struct diagram_pool *pool)
{
	pool->cap = pool->cap ? 2 * pool->cap : 1024;
	pool->by_content = arena_array(pool->a, uint32_t, pool->cap);
	for (uint32_t i = 0; i < pool->nodes.n; i++) {
		const struct node *node = &pool->nodes.items[i];
		uint64_t at = hash_of(node->field, node->edges, node->n);

		while (pool->by_content[at & (pool->cap - 1)])
			at++;
		pool->by_content[at & (pool->cap - 1)] = i + 1;
	}
}

uint32_t find_node(struct diagram_pool *pool, uint32_t field, const struct edge *edges, uint32_t n)
{
	struct node *node;
	uint64_t at;

	if (n == 1)
		return edges[0].to;
	if (2 * pool->nodes.n >= pool->cap)
		grow_table(pool);
	for (at = hash_of(field, edges, n); pool->by_content[at & (pool->cap - 1)]; at++) {
		uint32_t i = pool->by_content[at & (pool->cap - 1)] - 1;

		if (is_node(&pool->nodes.items[i], field, edges, n))
			return i;
	}
	node = list_add(pool->a, &pool->nodes);
	node->field = field;
	node->n = n;
	node->edges = memcpy(arena_take(pool->a, n * sizeof(*edges)), edges, n * sizeof(*edges));
	pool->by_content[at & (pool->cap - 1)] = pool->nodes.n;
	return pool->nodes.n - 1;
}

void add_edge(edge_list *edges, struct arena *a, flow_value high, uint32_t to)
{
	if (edges->n && edges->items[edges->n - 1].to == to)
		edges->items[edges->n - 1].high = high;
	else
		*list_add(a, edges) = (struct edge){high, to};
}
