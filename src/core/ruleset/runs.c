/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ruleset/runs.h"

#include <stdlib.h>

/* One walk over the prefixes in their order, with a stack of those that are open. */
struct cutter {
	struct arena *a;
	struct runs *runs;
	LIST(struct run) open;
	uint64_t at; /* addresses before this one are done */
};

static int by_start(const void *left, const void *right)
{
	const struct run *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	if (a->high != b->high)
		return a->high > b->high ? -1 : 1;
	return (a->says > b->says) - (a->says < b->says);
}

/* The last run ends where we are and says the same. */
static bool continues(const struct cutter *c, uint32_t says)
{
	const struct run *last;

	if (!c->runs->list.n)
		return false;
	last = &c->runs->list.items[c->runs->list.n - 1];
	return last->high + 1ull == c->at && last->says == says;
}

/* From where we are up to `behind`, which is not part of it. */
static void cut(struct cutter *c, uint64_t behind, uint32_t says)
{
	if (c->at >= behind)
		return;
	if (continues(c, says))
		c->runs->list.items[c->runs->list.n - 1].high = (uint32_t)(behind - 1);
	else
		*list_add(c->a, &c->runs->list) =
			(struct run){(uint32_t)c->at, (uint32_t)(behind - 1), says};
	c->at = behind;
}

/* Everything that is open and ends before `next` is done. */
static void close_before(struct cutter *c, uint64_t next)
{
	while (c->open.n && c->open.items[c->open.n - 1].high < next) {
		const struct run *top = &c->open.items[--c->open.n];

		cut(c, top->high + 1ull, top->says);
	}
}

static void open_run(struct cutter *c, struct run next)
{
	const struct run *top;

	close_before(c, next.low);
	if (c->open.n) {
		top = &c->open.items[c->open.n - 1];
		cut(c, next.low, top->says);
		next.says = c->runs->within(c->runs->context, top->says, next.says);
	}
	c->at = next.low;
	*list_add(c->a, &c->open) = next;
}

struct run run_of_prefix(struct prefix prefix, uint32_t says)
{
	return (struct run){ip_to_v4(prefix_first(prefix)), ip_to_v4(prefix_last(prefix)), says};
}

void runs_cut(struct runs *runs, struct arena *a, struct run *prefixes, uint32_t n)
{
	struct cutter c = {.a = a, .runs = runs};

	qsort(prefixes, n, sizeof(*prefixes), by_start);
	for (uint32_t i = 0; i < n; i++)
		open_run(&c, prefixes[i]);
	close_before(&c, UINT64_MAX);
}
