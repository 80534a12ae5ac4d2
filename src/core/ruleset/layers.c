/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ruleset/layers.h"

#include <stdlib.h>
#include <string.h>

struct box box_of_flow(const struct allow *flow)
{
	struct ip ends[4] = {prefix_first(flow->src), prefix_first(flow->dst),
			     prefix_last(flow->src), prefix_last(flow->dst)};
	struct box box = {.origin = flow->origin};
	uint8_t *low = box.bounds, *high = box.bounds + BOX_KEY;

	memcpy(low, ends[0].bytes, 4);
	memcpy(low + 4, ends[1].bytes, 4);
	memcpy(high, ends[2].bytes, 4);
	memcpy(high + 4, ends[3].bytes, 4);
	low[8] = flow->match.proto;
	high[8] = flow->match.proto ? flow->match.proto : UINT8_MAX;
	low[12] = (uint8_t)(flow->match.low >> 8);
	low[13] = (uint8_t)flow->match.low;
	high[12] = (uint8_t)(flow->match.high >> 8);
	high[13] = (uint8_t)flow->match.high;
	return box;
}

static const uint8_t *low_of(const struct box *box, int dimension)
{
	return box->bounds + dimension * BOX_FIELD;
}

static const uint8_t *high_of(const struct box *box, int dimension)
{
	return box->bounds + BOX_KEY + dimension * BOX_FIELD;
}

static bool covers(const struct box *outer, const struct box *inner)
{
	for (int d = 0; d < 4; d++)
		if (memcmp(low_of(outer, d), low_of(inner, d), BOX_FIELD) > 0 ||
		    memcmp(high_of(outer, d), high_of(inner, d), BOX_FIELD) < 0)
			return false;
	return true;
}

static bool overlaps(const struct box *a, const struct box *b)
{
	for (int d = 0; d < 4; d++)
		if (memcmp(low_of(a, d), high_of(b, d), BOX_FIELD) > 0 ||
		    memcmp(high_of(a, d), low_of(b, d), BOX_FIELD) < 0)
			return false;
	return true;
}

/* Destination first: what can overlap stands together. The wide before the narrow. */
static int by_destination(const void *left, const void *right)
{
	const struct box *a = left, *b = right;
	int order = memcmp(low_of(a, 1), low_of(b, 1), BOX_FIELD);

	if (!order)
		order = memcmp(high_of(b, 1), high_of(a, 1), BOX_FIELD);
	if (!order)
		order = memcmp(a->bounds, b->bounds, BOX_KEY);
	if (!order)
		order = memcmp(b->bounds + BOX_KEY, a->bounds + BOX_KEY, BOX_KEY);
	return order ? order : (a->origin > b->origin) - (a->origin < b->origin);
}

/*
 * Boxes that may still overlap what comes: sorted by where their destinations begin, a box is done
 * when the next one begins after its end.
 */
struct open_box {
	uint32_t box, layer;
};

struct sweep {
	LIST(struct open_box) open;
};

static void close_passed(struct sweep *s, const struct box *boxes, const struct box *next)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->open.n; i++)
		if (memcmp(high_of(&boxes[s->open.items[i].box], 1), low_of(next, 1), BOX_FIELD) >=
		    0)
			s->open.items[kept++] = s->open.items[i];
	s->open.n = kept;
}

/* The first layer without an overlap; NONE if an open box covers this one. */
static uint32_t free_layer(const struct sweep *s, const struct box *boxes, const struct box *box,
			   uint8_t *taken, uint32_t n_layers)
{
	memset(taken, 0, n_layers);
	for (uint32_t i = 0; i < s->open.n; i++) {
		const struct box *other = &boxes[s->open.items[i].box];

		if (covers(other, box))
			return NONE;
		if (overlaps(other, box))
			taken[s->open.items[i].layer] = 1;
	}
	for (uint32_t layer = 0; layer < n_layers; layer++)
		if (!taken[layer])
			return layer;
	return n_layers;
}

void layers_build(struct layers *layers, struct arena *a, const struct box_list *boxes)
{
	uint32_t n = boxes->list.n;
	struct box *sorted = arena_array(a, struct box, n);
	LIST(struct box_list) made = {0};
	struct sweep sweep = {0};
	uint8_t *taken = arena_alloc(a, n);

	if (!n)
		return;
	memcpy(sorted, boxes->list.items, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_destination);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t layer;

		close_passed(&sweep, sorted, &sorted[i]);
		layer = free_layer(&sweep, sorted, &sorted[i], taken, made.n);
		if (layer == NONE)
			continue;
		if (layer >= made.n)
			list_add(a, &made);
		*list_add(a, &made.items[layer].list) = sorted[i];
		*list_add(a, &sweep.open) = (struct open_box){i, layer};
	}
	layers->items = made.items;
	layers->n = made.n;
}
