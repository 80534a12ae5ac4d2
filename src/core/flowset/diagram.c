/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/flowset/diagram.h"

#include "base/hash.h"
#include "base/order.h"

#include <stdlib.h>
#include <string.h>

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

/* --- nodes --- */

struct diagram_pool *diagram_pool_new(struct arena *a)
{
	struct diagram_pool *pool = arena_new(a, struct diagram_pool);

	pool->a = a;
	return pool;
}

uint32_t diagram_pool_nodes(const struct diagram_pool *pool)
{
	return pool->nodes.n;
}

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

/* The unique node with these edges. Neighbours with one target are already joined. */
static uint32_t find_node(struct diagram_pool *pool, uint32_t field, const struct edge *edges,
			  uint32_t n)
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

/* Edges are added in order. An edge with the target of the last one only makes that one longer. */
static void add_edge(edge_list *edges, struct arena *a, flow_value high, uint32_t to)
{
	if (edges->n && edges->items[edges->n - 1].to == to)
		edges->items[edges->n - 1].high = high;
	else
		*list_add(a, edges) = (struct edge){high, to};
}

/* --- building --- */

/* Where a set begins or ends. Sorted, these cut a field into intervals. */
struct event {
	flow_value at; /* the first value inside, or the first behind the end */
	uint32_t set;
	bool begins;
};

typedef LIST(struct event) event_list;

/* Sets that contain one interval, sorted, and the node built for them. */
struct built {
	const uint32_t *sets;
	uint64_t hash;
	uint32_t n, field, ref;
};

struct builder {
	struct diagram_pool *pool;
	const struct flow_set *sets;
	struct arena scratch;
	LIST(struct built) built;
	uint32_t *table; /* open hash table of `built`; 0: free, otherwise index + 1 */
	uint32_t cap;
};

static void grow_built(struct builder *b)
{
	b->cap = b->cap ? 2 * b->cap : 1024;
	b->table = arena_array(&b->scratch, uint32_t, b->cap);
	for (uint32_t i = 0; i < b->built.n; i++) {
		uint64_t at = b->built.items[i].hash;

		while (b->table[at & (b->cap - 1)])
			at++;
		b->table[at & (b->cap - 1)] = i + 1;
	}
}

static uint32_t build(struct builder *b, uint32_t field, const uint32_t *sets, uint32_t n);

/*
 * The node for these sets from this field on. Most intervals have one of a few combinations of
 * sets.
 */
static uint32_t build_once(struct builder *b, uint32_t field, const uint32_t *sets, uint32_t n)
{
	uint64_t hash = hash_word(hash_bytes(sets, n * sizeof(*sets)), field), at = hash;
	struct built *new;
	uint32_t i, ref;

	if (!n)
		return LEAF;
	if (field == N_FLOW_FIELDS)
		return LEAF | b->sets[sets[0]].leaf;
	if (2 * b->built.n >= b->cap)
		grow_built(b);
	for (; b->table[at & (b->cap - 1)]; at++) {
		const struct built *known = &b->built.items[b->table[at & (b->cap - 1)] - 1];

		if (known->hash == hash && known->field == field && known->n == n &&
		    !memcmp(known->sets, sets, n * sizeof(*sets)))
			return known->ref;
	}
	i = b->built.n;
	new = list_add(&b->scratch, &b->built);
	*new = (struct built){.hash = hash, .field = field, .n = n};
	new->sets = memcpy(arena_take(&b->scratch, n * sizeof(*sets)), sets, n * sizeof(*sets));
	b->table[at & (b->cap - 1)] = i + 1;
	ref = build(b, field, new->sets, n); /* may move the list */
	b->built.items[i].ref = ref;
	return ref;
}

static int by_value(const void *left, const void *right)
{
	const struct event *a = left, *b = right;

	return a->at == b->at ? 0 : a->at < b->at ? -1 : 1;
}

static void add_events(event_list *events, struct arena *a, uint32_t field, uint32_t set,
		       const struct flow_set *s)
{
	const struct flow_range every = {0, flow_most[field]};
	uint32_t n = s->fields[field].n;

	for (uint32_t i = 0; i < (n ? n : 1); i++) {
		struct flow_range range = n ? s->fields[field].ranges[i] : every;

		*list_add(a, events) = (struct event){range.low, set, true};
		if (range.high < flow_most[field])
			*list_add(a, events) = (struct event){range.high + 1, set, false};
	}
}

/*
 * The sets that contain the current value, sorted; one may be there several times, if its ranges
 * overlap.
 */
struct holding {
	uint32_t *sets, *times;
	uint32_t n;
};

static void hold(struct holding *h, const struct event *event)
{
	uint32_t i = first_not_before(h->n, k, h->sets[k] < event->set);
	bool known = i < h->n && h->sets[i] == event->set;

	if (known && (event->begins || h->times[i] > 1)) {
		h->times[i] += event->begins ? 1 : UINT32_MAX;
	} else if (known) {
		h->n--;
		memmove(h->sets + i, h->sets + i + 1, (h->n - i) * sizeof(*h->sets));
		memmove(h->times + i, h->times + i + 1, (h->n - i) * sizeof(*h->times));
	} else {
		memmove(h->sets + i + 1, h->sets + i, (h->n - i) * sizeof(*h->sets));
		memmove(h->times + i + 1, h->times + i, (h->n - i) * sizeof(*h->times));
		h->sets[i] = event->set;
		h->times[i] = 1;
		h->n++;
	}
}

/* Cuts the field's values into intervals at every begin and end of a set. */
static uint32_t build(struct builder *b, uint32_t field, const uint32_t *sets, uint32_t n)
{
	AUTO_RELEASE struct arena a = {0};
	event_list events = {0};
	edge_list edges = {0};
	struct holding h = {arena_array(&a, uint32_t, n), arena_array(&a, uint32_t, n), 0};

	for (uint32_t i = 0; i < n; i++)
		add_events(&events, &a, field, sets[i], &b->sets[sets[i]]);
	if (!events.n)
		return LEAF;
	qsort(events.items, events.n, sizeof(*events.items), by_value);
	if (events.items[0].at > 0)
		add_edge(&edges, &a, events.items[0].at - 1, LEAF);
	for (uint32_t i = 0; i < events.n; i++) {
		bool last = i + 1 == events.n;
		flow_value high = last ? flow_most[field] : events.items[i + 1].at - 1;

		hold(&h, &events.items[i]);
		if (last || events.items[i + 1].at != events.items[i].at)
			add_edge(&edges, &a, high, build_once(b, field + 1, h.sets, h.n));
	}
	return find_node(b->pool, field, edges.items, edges.n);
}

struct diagram diagram_every(uint32_t leaf)
{
	return (struct diagram){LEAF | leaf};
}

struct diagram diagram_build(struct diagram_pool *pool, const struct flow_set *sets, uint32_t n)
{
	struct builder b = {.pool = pool, .sets = sets};
	uint32_t *all = arena_array(&b.scratch, uint32_t, n + 1);
	struct diagram d;

	for (uint32_t i = 0; i < n; i++)
		all[i] = i;
	d.ref = build_once(&b, 0, all, n);
	arena_release(&b.scratch);
	return d;
}

/* --- asking --- */

uint32_t diagram_ask(const struct diagram_pool *pool, struct diagram d,
		     const flow_value flow[N_FLOW_FIELDS])
{
	uint32_t ref = d.ref;

	while (!(ref & LEAF)) {
		const struct node *node = &pool->nodes.items[ref];

		ref = node->edges[first_not_before(node->n, i,
						   node->edges[i].high < flow[node->field])]
			      .to;
	}
	return ref & ~LEAF;
}

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

static uint32_t field_of(const struct diagram_pool *pool, uint32_t ref)
{
	return ref & LEAF ? N_FLOW_FIELDS : pool->nodes.items[ref].field;
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

/* --- blocks --- */

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
