/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ruleset/ends.h"

#include "core/ruleset/runs.h"

#include <ctype.h>
#include <stdlib.h>

enum {
	MAX_NAME_LEN = 100, /* longest part of a user's name in the name of a set or chain */
};

bool ends_count(const struct ends *e)
{
	return e->b->counted && ways[e->way].counts;
}

/* --- names --- */

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || strchr("_.-/", c);
}

/* "to_shop", "to_shop_2" where there is one already: what nft reads as one word. */
const char *new_name(struct ends *e, const char *prefix, const char *text)
{
	char *plain = arena_printf(e->b->a, "%s%.*s", prefix, MAX_NAME_LEN, text), *name = plain;

	for (char *at = plain; *at; at++)
		*at = is_name_char(*at) ? *at : '_';
	for (uint32_t n = 2; hash_index_find(&e->by_name, hash_text(name), i,
					     !strcmp(e->names.items[i], name)) != NONE;
	     n++)
		name = arena_printf(e->b->a, "%s_%u", plain, n);
	*list_add(e->b->a, &e->names) = name;
	hash_index_grow(&e->by_name, e->b->a, &e->names, i, hash_text(e->names.items[i]));
	return name;
}

/* --- sets of sources --- */

/* Where several policies let an address in, it belongs to the first one. */
static uint32_t first_policy(void *context UNUSED, uint32_t outer, uint32_t inner)
{
	return outer < inner ? outer : inner;
}

static void add_runs(struct set *set, struct arena *a, const source_list *sources)
{
	const uint8_t family = sources->items[0].net.ip.family;
	AUTO_RELEASE struct arena scratch = {0};
	struct runs runs = {.within = first_policy};
	struct run *all = arena_array(&scratch, struct run, sources->n);

	list_each (source, sources) /* without counters the policy does not matter: neighbouring
				       prefixes merge */
		all[source - sources->items] =
			run_of_prefix(source->net, set->counts ? source->origin : NONE);
	runs_cut(&runs, &scratch, all, sources->n);
	list_each (run, &runs.list)
		put_ip(put_ip(set_add(set, a, run->value), run_address(run->low, family)),
		       run_address(run->high, family));
}

static bool all_single(const source_list *sources)
{
	list_each (source, sources)
		if (!prefix_is_single(source->net))
			return false;
	return true;
}

static void build_set(struct builder *b, const char *name, const source_list *sources, bool counts)
{
	uint8_t family = sources->n ? sources->items[0].net.ip.family : 4;
	struct set *set = new_set(b, name, address_field(family));

	set->role = SET_SOURCES;
	set->counts = counts;
	set->interval = !all_single(sources);
	if (set->interval)
		add_runs(set, b->a, sources);
	else
		list_each (source, sources)
			put_ip(set_add(set, b->a, source->origin), source->net.ip);
	finish_set(b, set);
}

static bool same_sources(const source_list *a, const source_list *b)
{
	if (!a || !b || a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (prefix_compare(a->items[i].net, b->items[i].net) != 0)
			return false;
	return true;
}

static struct source_set *add_set_of_sources(struct ends *e, struct source_set set)
{
	*list_add(e->b->a, &e->sets) = set;
	hash_index_grow(&e->sets_by_hash, e->b->a, &e->sets, i, e->sets.items[i].hash);
	return &e->sets.items[e->sets.n - 1];
}

/*
 * The set of a list; all ends that name the list share it. The pointer is valid until the next set
 * is made.
 */
static struct source_set *list_set(struct ends *e, const struct peers *peers, const char *prefix,
				   const char *name)
{
	uint32_t known = hash_index_find(&e->sets_by_hash, peers->hash, i,
					 same_peers(e->sets.items[i].peers, peers));
	source_list sources = {0};

	if (known != NONE)
		return &e->sets.items[known];
	name = new_name(e, prefix, name ? name : ip_format(peers->items[0].net.ip).s);
	for (uint32_t i = 0; i < peers->n; i++)
		*list_add(e->b->a, &sources) = (struct source){peers->items[i].net, NONE, false};
	build_set(e->b, name, &sources, false);
	return add_set_of_sources(
		e, (struct source_set){.peers = peers, .hash = peers->hash, .name = name});
}

const char *set_of_list(struct builder *b, const struct peers *peers, const char *prefix,
			const char *name)
{
	return list_set(b->ends, peers, prefix, name)->name;
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

static uint64_t hash_of_sources(const source_list *sources)
{
	uint64_t hash = HASH_START;

	list_each (source, sources)
		hash = hash_more(hash, &source->net, sizeof(source->net));
	return hash;
}

/* The set of an end's single sources. Ends with the same sources share it. */
static const char *own_set(struct ends *e, source_list *sources, const char *name)
{
	uint64_t hash;
	uint32_t known = NONE;

	hash = hash_of_sources(sources);
	if (!ends_count(
		    e)) /* with counters, sets are not shared: each counts for its own policies */
		known = hash_index_find(&e->sets_by_hash, hash, i,
					!e->sets.items[i].counts &&
						same_sources(e->sets.items[i].sources, sources));
	if (known != NONE)
		return e->sets.items[known].name;
	build_set(e->b, name, sources, ends_count(e));
	add_set_of_sources(e, (struct source_set){.sources = memcpy(arena_new(e->b->a, source_list),
								    sources, sizeof(*sources)),
						  .counts = ends_count(e),
						  .hash = hash,
						  .name = name});
	return name;
}

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

/* --- rules --- */

static const char *set_of_ports(struct ends *e, const struct end *end)
{
	const char *name = new_name(e, "ports_", end->name);
	struct set *set = new_set(e->b, name, FIELD_PORT);

	set->interval = true;
	list_each (range, &end->ports.ranges)
		put_port(put_port(set_add(set, e->b->a, NONE), range->low), range->high);
	finish_set(e->b, set);
	return name;
}

/* set: of its ports, where they are more than one range. */
static void ask_ports(struct ends *e, struct rule *rule, const struct ports *ports, const char *set)
{
	if (ports->kind == EVERY_PROTOCOL)
		return;
	term_number(e->b, rule, TERM_PROTO, ports->proto);
	if (set)
		term_lookup(e->b, rule, TERM_LOOKUP, set, ways[e->way].port);
	else if (ports->kind != EVERY_PORT)
		term_ports(e->b, rule, ways[e->way].port_is, ports->ranges.items->low,
			   ports->ranges.items->high);
}

/* The rules of one end: their chain, and the condition that each begins with. */
struct writing {
	struct ends *e;
	struct chain *chain;
	const struct ports *ports; /* NULL: they were asked for */
	const char *set;
};

static struct rule *begin_rule(const struct writing *w, uint8_t family, uint32_t origin)
{
	struct rule *rule = add_rule(w->e->b, w->chain, family, NULL, origin);

	if (w->ports)
		ask_ports(w->e, rule, w->ports, w->set);
	return rule;
}

static void let_through(const struct writing *w, struct rule *rule, bool counts)
{
	if (counts && ends_count(w->e))
		term_count(w->e->b, rule);
	term_name(w->e->b, rule, TERM_GOTO, ways[w->e->way].target);
}

static void admit_few(const struct writing *w, struct end *end)
{
	const struct way_words *way = &ways[w->e->way];
	source_list *few = &end->few;
	struct rule *rule;

	sort_sources(few, ends_count(w->e));
	rule = begin_rule(w, few->items[0].net.ip.family,
			  few->n == 1 ? few->items[0].origin : NONE);
	if (few->n == 1) {
		term_prefix(w->e->b, rule, way->source_is, few->items[0].net);
		let_through(w, rule, !few->items[0].silent);
		return;
	}
	term_lookup(w->e->b, rule, TERM_LOOKUP, own_set(w->e, few, end->name), way->source);
	let_through(w, rule, false); /* the set's elements count */
}

static void admit_list(const struct writing *w, const struct grant *grant)
{
	struct rule *rule = begin_rule(w, grant->from->items[0].net.ip.family, grant->origin);

	term_lookup(w->e->b, rule, TERM_LOOKUP,
		    list_set(w->e, grant->from, "from_", grant->from_name)->name,
		    ways[w->e->way].source);
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
	const struct way_words *way = &ways[w->e->way];

	for (uint32_t i = 0; i < n_bound_rules(grant); i++) {
		const struct prefix from = grant->from->items[i].net;
		struct rule *rule = begin_rule(w, from.ip.family, grant->origin);

		term_name(w->e->b, rule, way->interface_is, grant->iface);
		if (asks_list(grant))
			term_lookup(w->e->b, rule, TERM_LOOKUP,
				    list_set(w->e, grant->from, "from_", grant->from_name)->name,
				    way->source);
		else
			term_prefix(w->e->b, rule, way->source_is, from);
		let_through(w, rule, !grant->translated);
	}
}

/* Without counters a second grant for the same list is redundant. */
static bool is_said(const struct ends *e, const struct end *end, const struct grant *grant)
{
	if (ends_count(e))
		return false;
	for (uint32_t i = 0; end->lists.items[i] != grant; i++)
		if (same_peers(end->lists.items[i]->from, grant->from))
			return true;
	return false;
}

static void write_end(const struct writing *w, struct end *end)
{
	if (!ends_count(w->e) && end->anybody.n) {
		admit_anybody(w, end->anybody.items[0]);
		return;
	}
	if (end->few.n)
		admit_few(w, end);
	list_each (grant, &end->lists)
		if (!is_said(w->e, end, *grant))
			admit_list(w, *grant);
	list_each (grant, &end->anybody)
		admit_anybody(w, *grant);
	list_each (grant, &end->bound)
		admit_bound(w, *grant);
}

uint32_t end_n_rules(const struct ends *e, const struct end *end)
{
	uint32_t n = (end->few.n > 0) + end->lists.n + end->anybody.n;

	if (!ends_count(e) && end->anybody.n)
		return 1;
	list_each (grant, &end->bound)
		n += n_bound_rules(*grant);
	return n;
}

void end_rules(struct ends *e, struct chain *chain, struct end *end)
{
	const char *set = end->ports.ranges.n > 1 ? set_of_ports(e, end) : NULL;

	write_end(&(struct writing){e, chain, &end->ports, set}, end);
}

/* Ends that only one list may reach share a chain. */
static const char *chain_of_list(struct ends *e, const struct grant *grant)
{
	struct source_set *set = list_set(e, grant->from, "from_", grant->from_name);
	const char **chain = &set->chains[e->way];

	if (!*chain) {
		*chain = arena_printf(e->b->a, "%s%s", ways[e->way].prefix, set->name);
		admit_list(&(struct writing){e, add_chain(e->b, *chain, NULL, 0, 0), NULL, NULL},
			   grant);
	}
	return *chain;
}

struct verdict verdict_of_end(struct ends *e, struct end *end)
{
	const char *name;

	if (!ends_count(e) && end->anybody.n)
		return verdict_to(true, ways[e->way].target);
	if (!ends_count(e) && !end->few.n && !end->bound.n && end->lists.n == 1)
		return verdict_to(false, chain_of_list(e, end->lists.items[0]));
	name = new_name(e, "", end->name);
	write_end(&(struct writing){e, add_chain(e->b, name, NULL, 0, 0), NULL, NULL}, end);
	return verdict_to(false, name);
}

void end_jump(struct ends *e, struct chain *chain, const struct end *end, struct verdict verdict)
{
	const char *set = end->ports.ranges.n > 1 ? set_of_ports(e, end) : NULL;
	const struct writing w = {e, chain, &end->ports, set};

	term_name(e->b, begin_rule(&w, 0, NONE), verdict.go ? TERM_GOTO : TERM_JUMP, verdict.chain);
}
