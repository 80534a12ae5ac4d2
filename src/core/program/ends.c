/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/program/ends.h"

#include <stdlib.h>

/* --- an end: who may come to these ports of this group --- */

void end_add(struct end *end, struct arena *a, const struct grant *grant)
{
	const struct prefix first = grant->from->n ? grant->from->items[0].net : (struct prefix){0};

	if (grant->iface)
		*list_add(a, &end->bound) = grant;
	else if (first.ip.family &&
		 !first.len) /* lists are sorted: it comes first where it is a member */
		*list_add(a, &end->anybody) = grant;
	else if (grant->from->n > FEW_SOURCES)
		*list_add(a, &end->lists) = grant;
	else
		for (uint32_t i = 0; i < grant->from->n; i++)
			*list_add(a, &end->few) = (struct source){grant->from->items[i].net,
								  grant->origin, grant->translated};
}

static int by_net(const void *left, const void *right)
{
	const struct source *a = left, *b = right;
	int order = prefix_compare(a->net, b->net);

	return order ? order : (a->origin > b->origin) - (a->origin < b->origin);
}

/* Sorts the sources. Without counters doubles are dropped. */
static void sort_sources(source_list *sources, bool counts)
{
	uint32_t n = 0;

	qsort(sources->items, sources->n, sizeof(*sources->items), by_net);
	for (uint32_t i = 0; i < sources->n; i++)
		if (counts || !n ||
		    prefix_compare(sources->items[n - 1].net, sources->items[i].net) != 0)
			sources->items[n++] = sources->items[i];
	sources->n = n;
}

/* --- rules --- */

static const char *set_of_ports(struct builder *b, const struct end *end)
{
	const char *name = new_name(b, "ports_", end->name);
	struct set *set = new_set(b, name, FIELD_PORT);

	set->interval = true;
	list_each (range, &end->ports.ranges)
		put_port(put_port(set_add(set, b->a, NONE), range->low), range->high);
	finish_set(b, set);
	return name;
}

/* The rules of one end: their chain, and the condition that each begins with. */
struct writing {
	struct builder *b;
	enum way way;
	struct chain *chain;
	const struct ports *ports; /* NULL: they were asked for */
	const char *set;	   /* of its ports, where they are more than one range */
};

static void ask_ports(const struct writing *w, struct rule *rule)
{
	const struct ports *ports = w->ports;

	if (ports->kind == EVERY_PROTOCOL)
		return;
	term_number(w->b, rule, TERM_PROTO, ports->proto);
	if (w->set)
		term_in(w->b, rule, w->set, ways[w->way].port);
	else if (ports->kind != EVERY_PORT)
		term_ports(w->b, rule, ways[w->way].port_is, ports->ranges.items->low,
			   ports->ranges.items->high);
}

static struct rule *begin_rule(const struct writing *w, uint8_t family, uint32_t origin)
{
	struct rule *rule = add_rule(w->b, w->chain, family, NULL, origin);

	if (w->ports)
		ask_ports(w, rule);
	return rule;
}

static void let_through(const struct writing *w, struct rule *rule, bool counts)
{
	if (counts && way_counts(w->b, w->way))
		term_count(w->b, rule);
	term_name(w->b, rule, TERM_GOTO, ways[w->way].target);
}

static void admit_few(const struct writing *w, struct end *end)
{
	const struct way_words *way = &ways[w->way];
	const bool counts = way_counts(w->b, w->way);
	source_list *few = &end->few;
	struct rule *rule;

	sort_sources(few, counts);
	rule = begin_rule(w, few->items[0].net.ip.family,
			  few->n == 1 ? few->items[0].origin : NONE);
	if (few->n == 1) {
		term_prefix(w->b, rule, way->source_is, few->items[0].net);
		let_through(w, rule, !few->items[0].silent);
		return;
	}
	term_in(w->b, rule, set_of_sources(w->b, few, end->name, counts), way->source);
	let_through(w, rule, false); /* the set's elements count */
}

static void term_list(const struct writing *w, struct rule *rule, const struct grant *grant)
{
	term_in(w->b, rule, set_of_list(w->b, grant->from, "from_", grant->from_name),
		ways[w->way].source);
}

static void admit_list(const struct writing *w, const struct grant *grant)
{
	struct rule *rule = begin_rule(w, grant->from->items[0].net.ip.family, grant->origin);

	term_list(w, rule, grant);
	let_through(w, rule, !grant->translated);
}

static void admit_anybody(const struct writing *w, const struct grant *grant)
{
	let_through(w, begin_rule(w, 0, grant->origin), !grant->translated);
}

/* "any" is the first of its list, and then everybody is meant. */
static bool asks_list(const struct grant *grant)
{
	return grant->from->n > FEW_SOURCES && grant->from->items[0].net.len;
}

static uint32_t n_bound_rules(const struct grant *grant)
{
	return asks_list(grant) || !grant->from->items[0].net.len ? 1 : grant->from->n;
}

static void admit_bound(const struct writing *w, const struct grant *grant)
{
	const struct way_words *way = &ways[w->way];

	for (uint32_t i = 0; i < n_bound_rules(grant); i++) {
		const struct prefix from = grant->from->items[i].net;
		struct rule *rule = begin_rule(w, from.ip.family, grant->origin);

		term_name(w->b, rule, way->interface_is, grant->iface);
		if (asks_list(grant))
			term_list(w, rule, grant);
		else
			term_prefix(w->b, rule, way->source_is, from);
		let_through(w, rule, !grant->translated);
	}
}

/* Without counters a second grant for the same list is redundant. */
static bool is_said(const struct writing *w, const struct end *end, const struct grant *grant)
{
	if (way_counts(w->b, w->way))
		return false;
	for (uint32_t i = 0; end->lists.items[i] != grant; i++)
		if (same_peers(end->lists.items[i]->from, grant->from))
			return true;
	return false;
}

/* Without counters one rule says enough. */
static bool is_for_anybody(const struct builder *b, enum way way, const struct end *end)
{
	return !way_counts(b, way) && end->anybody.n;
}

static void write_end(const struct writing *w, struct end *end)
{
	if (is_for_anybody(w->b, w->way, end)) {
		admit_anybody(w, end->anybody.items[0]);
		return;
	}
	if (end->few.n)
		admit_few(w, end);
	list_each (grant, &end->lists)
		if (!is_said(w, end, *grant))
			admit_list(w, *grant);
	list_each (grant, &end->anybody)
		admit_anybody(w, *grant);
	list_each (grant, &end->bound)
		admit_bound(w, *grant);
}

uint32_t end_n_rules(const struct builder *b, enum way way, const struct end *end)
{
	uint32_t n = (end->few.n > 0) + end->lists.n + end->anybody.n;

	if (is_for_anybody(b, way, end))
		return 1;
	list_each (grant, &end->bound)
		n += n_bound_rules(*grant);
	return n;
}

static struct writing with_ports(struct builder *b, enum way way, struct chain *chain,
				 const struct end *end)
{
	return (struct writing){b, way, chain, &end->ports,
				end->ports.ranges.n > 1 ? set_of_ports(b, end) : NULL};
}

void end_rules(struct builder *b, enum way way, struct chain *chain, struct end *end)
{
	const struct writing w = with_ports(b, way, chain, end);

	write_end(&w, end);
}

static struct writing in_own_chain(struct builder *b, enum way way, const char *name)
{
	return (struct writing){.b = b, .way = way, .chain = add_chain(b, name)};
}

/* Ends that only one list may reach share a chain. */
static const char *chain_of_list(struct builder *b, enum way way, const struct grant *grant)
{
	struct source_set *set = list_set(b, grant->from, "from_", grant->from_name);
	const char *chain = arena_printf(b->a, "%s%s", ways[way].prefix, set->name);

	if (!(set->chains & 1u << way)) {
		const struct writing w = in_own_chain(b, way, chain);

		set->chains |= (uint8_t)(1u << way);
		admit_list(&w, grant);
	}
	return chain;
}

struct verdict verdict_of_end(struct builder *b, enum way way, struct end *end)
{
	const bool counts = way_counts(b, way);
	struct writing w;
	const char *name;

	if (is_for_anybody(b, way, end))
		return verdict_to(true, ways[way].target);
	if (!counts && !end->few.n && !end->bound.n && end->lists.n == 1)
		return verdict_to(false, chain_of_list(b, way, end->lists.items[0]));
	name = new_name(b, "", end->name);
	w = in_own_chain(b, way, name);
	write_end(&w, end);
	return verdict_to(false, name);
}

void end_jump(struct builder *b, enum way way, struct chain *chain, const struct end *end,
	      struct verdict verdict)
{
	const struct writing w = with_ports(b, way, chain, end);

	term_name(b, begin_rule(&w, 0, NONE), verdict.go ? TERM_GOTO : TERM_JUMP, verdict.chain);
}
