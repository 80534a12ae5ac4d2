/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nodes of diagrams (core/flowset/diagram.h): equal ones exist once. */
#pragma once

#include "base/arena.h"
#include "core/flowset/flow.h"

#define LEAF (1U << 31) /* in a reference: the other bits are the leaf's number */

struct edge {
	flow_value high; /* the last value of its interval; the first one follows the edge before */
	uint32_t to;
};

struct node {
	struct edge *edges;
	uint32_t n;
	uint32_t field;
};

/* A cached result. */
struct memo {
	uint32_t a, b, op, result;
	bool used;
};

struct diagram_pool {
	struct arena *a;
	LIST(struct node) nodes;
	uint32_t *by_content; /* open hash table of nodes; 0: free, otherwise index + 1 */
	uint32_t cap;
	struct memo *memos;
	uint32_t n_memos, cap_memos;
};

typedef LIST(struct edge) edge_list;

/* The unique node with these edges. Neighbours with one target are already joined. */
uint32_t find_node(struct diagram_pool *pool, uint32_t field, const struct edge *edges, uint32_t n);
/* Edges are added in order. An edge with the target of the last one only makes that one longer. */
void add_edge(edge_list *edges, struct arena *a, flow_value high, uint32_t to);

/* The field that a node asks; N_FLOW_FIELDS for a leaf. */
static inline uint32_t field_of(const struct diagram_pool *pool, uint32_t ref)
{
	return ref & LEAF ? N_FLOW_FIELDS : pool->nodes.items[ref].field;
}
