/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ruleset/runs.h"

#include <stdlib.h>

/* Walks over the sorted prefixes. A stack holds those that the current address is in. */
struct cutter {
	struct arena *a;
	struct runs *runs;
	LIST(struct run) open;
	ip_number at;  /* addresses before this one are in runs already … */
	bool all_done; /* … or all addresses are */
};

static int by_start(const void *left, const void *right)
{
	const struct run *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	if (a->high != b->high)
		return a->high > b->high ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

/* The last run ends just before here and has the same value. */
static bool continues(const struct cutter *c, uint32_t value)
{
	const struct run *last;

	if (!c->runs->list.n)
		return false;
	last = &c->runs->list.items[c->runs->list.n - 1];
	return last->high + 1 == c->at && last->value == value;
}

/* Adds the run from `at` to `last`, inclusive. */
static void cut(struct cutter *c, ip_number last, uint32_t value)
{
	if (c->all_done || c->at > last)
		return;
	if (continues(c, value))
		c->runs->list.items[c->runs->list.n - 1].high = last;
	else
		*list_add(c->a, &c->runs->list) = (struct run){c->at, last, value};
	c->at = last + 1;
	c->all_done = !c->at;
}

static void close_last(struct cutter *c)
{
	const struct run *top = &c->open.items[--c->open.n];

	cut(c, top->high, top->value);
}

static void open_run(struct cutter *c, struct run next)
{
	const struct run *top;

	while (c->open.n && c->open.items[c->open.n - 1].high < next.low)
		close_last(c);
	if (c->open.n) {
		top = &c->open.items[c->open.n - 1];
		if (next.low)
			cut(c, next.low - 1, top->value);
		next.value = c->runs->within(c->runs->context, top->value, next.value);
	}
	c->at = next.low;
	*list_add(c->a, &c->open) = next;
}

static ip_number number_of(struct ip ip)
{
	if (ip.family == 4)
		return ip_to_v4(ip);
	return (ip_number)ip_half(&ip, 0) << 64 | ip_half(&ip, 1);
}

struct ip run_address(ip_number number, uint8_t family)
{
	struct ip ip = {.family = family};

	if (family == 4)
		return ip_v4((uint32_t)number);
	for (int i = 15; i >= 0; i--, number >>= 8)
		ip.bytes[i] = (uint8_t)number;
	return ip;
}

struct run run_of_prefix(struct prefix prefix, uint32_t value)
{
	return (struct run){number_of(prefix_first(prefix)), number_of(prefix_last(prefix)), value};
}

void runs_cut(struct runs *runs, struct arena *a, struct run *prefixes, uint32_t n)
{
	struct cutter c = {.a = a, .runs = runs};

	qsort(prefixes, n, sizeof(*prefixes), by_start);
	for (uint32_t i = 0; i < n; i++)
		open_run(&c, prefixes[i]);
	while (c.open.n)
		close_last(&c);
}
