/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/flowset/diagram.h"

#include "base/hash.h"
#include "core/flowset/nodes.h"

#include <stdlib.h>
#include <string.h>

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
