/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ruleset/ends.h"

#include "core/ruleset/runs.h"

#include <ctype.h>
#include <stdlib.h>

enum {
	FEW_SOURCES = 4,    /* a source that is no more than this has no list of its own */
	MAX_NAME_LEN = 100, /* of what people call a thing, in names of sets and chains */
};

const struct way_words ways[] = {
	[WAY_NEW] = {"", "admit", LOAD_SADDR, LOAD_DADDR, LOAD_DPORT, TERM_SADDR, TERM_DPORT, true},
	[WAY_RAW] = {"raw_", "pass", LOAD_SADDR, LOAD_DADDR, LOAD_DPORT, TERM_SADDR, TERM_DPORT,
		     false},
	[WAY_REPLY] = {"reply_", "pass", LOAD_DADDR, LOAD_SADDR, LOAD_SPORT, TERM_DADDR, TERM_SPORT,
		       false},
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

/* Of several policies that let an address in the first one counts. */
static uint32_t first_policy(void *context UNUSED, uint32_t outer, uint32_t inner)
{
	return outer < inner ? outer : inner;
}

static void add_runs(struct set *set, struct arena *a, const source_list *sources)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct runs runs = {.within = first_policy};
	struct run *all = arena_array(&scratch, struct run, sources->n);

	list_each (source, sources) /* what does not count is everybody's: neighbours become one */
		all[source - sources->items] =
			run_of_prefix(source->net, set->counts ? source->origin : NONE);
	runs_cut(&runs, &scratch, all, sources->n);
	list_each (run, &runs.list)
		put_ip(put_ip(set_add(set, a, run->says), ip_v4(run->low)), ip_v4(run->high));
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
	struct set *set = new_set(b, name, FIELD_IP4);

	set->counts = counts;
	set->interval = !all_single(sources);
	if (set->interval)
		add_runs(set, b->a, sources);
	else
		list_each (source, sources)
			put_ip(set_add(set, b->a, source->origin), source->net.ip);
	finish_set(b, set);
}

bool same_peers(const struct peers *a, const struct peers *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->hash != b->hash || a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (prefix_compare(a->items[i].net, b->items[i].net) != 0)
			return false;
	return true;
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

/* The set of a list that policies name, whoever asks for it. Good until the next one is made. */
static struct source_set *list_set(struct ends *e, const struct peers *peers, const char *name)
{
	uint32_t known = hash_index_find(&e->sets_by_hash, peers->hash, i,
					 same_peers(e->sets.items[i].peers, peers));
	source_list sources = {0};

	if (known != NONE)
		return &e->sets.items[known];
	name = new_name(e, "from_", name ? name : ip_format(peers->items[0].net.ip).s);
	for (uint32_t i = 0; i < peers->n; i++)
		*list_add(e->b->a, &sources) = (struct source){peers->items[i].net, NONE};
	build_set(e->b, name, &sources, false);
	return add_set_of_sources(
		e, (struct source_set){.peers = peers, .hash = peers->hash, .name = name});
}

static int by_net(const void *left, const void *right)
{
	const struct source *a = left, *b = right;
	int order = prefix_compare(a->net, b->net);

	return order ? order : (a->origin > b->origin) - (a->origin < b->origin);
}

/* Sorted; where nobody counts, each once. */
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

/* Of sources that have no list: ends that have the same ones share a set. */
static const char *own_set(struct ends *e, source_list *sources, const char *name)
{
	uint64_t hash;
	uint32_t known = NONE;

	hash = hash_of_sources(sources);
	if (!ends_count(e)) /* each counts for policies of its own */
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
	if (grant->from->n == 1 && !grant->from->items[0].net.len)
		*list_add(a, &end->anybody) = grant;
	else if (grant->from->n > FEW_SOURCES)
		*list_add(a, &end->lists) = grant;
	else
		for (uint32_t i = 0; i < grant->from->n; i++)
			*list_add(a, &end->few) =
				(struct source){grant->from->items[i].net, grant->origin};
}

static void finish_admitting(struct ends *e, struct rule *rule, bool counts)
{
	if (counts && ends_count(e))
		term_count(e->b, rule);
	term_name(e->b, rule, TERM_GOTO, ways[e->way].target);
}

static void admit_few(struct ends *e, struct chain *chain, source_list *few, const char *name)
{
	struct rule *rule = add_rule(e->b, chain, 4, NULL, few->items[0].origin);

	sort_sources(few, ends_count(e));
	if (few->n == 1) {
		term_prefix(e->b, rule, ways[e->way].source_is, few->items[0].net);
		finish_admitting(e, rule, true);
		return;
	}
	rule->origin = NONE;
	term_lookup(e->b, rule, TERM_LOOKUP, own_set(e, few, name), ways[e->way].source);
	finish_admitting(e, rule, false); /* the set's elements count */
}

static void admit_list(struct ends *e, struct chain *chain, const struct grant *grant)
{
	struct rule *rule = add_rule(e->b, chain, 4, NULL, grant->origin);

	term_lookup(e->b, rule, TERM_LOOKUP, list_set(e, grant->from, grant->from_name)->name,
		    ways[e->way].source);
	finish_admitting(e, rule, true);
}

/* A grant whose list another one named before says nothing new, unless each counts. */
static bool is_said(const struct ends *e, const struct end *end, const struct grant *grant)
{
	if (ends_count(e))
		return false;
	list_each (other, &end->lists)
		if (*other != grant && same_peers((*other)->from, grant->from))
			return true;
		else if (*other == grant)
			return false;
	return false;
}

/* The chain of an end that one list comes to and nobody else: such ends share it. */
static const char *chain_of_list(struct ends *e, const struct grant *grant)
{
	struct source_set *set = list_set(e, grant->from, grant->from_name);

	const char **chain = &set->chains[e->way];

	if (!*chain) {
		*chain = arena_printf(e->b->a, "%s%s", ways[e->way].prefix, set->name);
		admit_list(e, add_chain(e->b, *chain, NULL, 0, 0), grant);
	}
	return *chain;
}

struct verdict verdict_of_end(struct ends *e, struct end *end, const char *name)
{
	struct chain *chain;

	if (!ends_count(e) && end->anybody.n)
		return verdict_to(true, ways[e->way].target);
	if (!ends_count(e) && !end->few.n && end->lists.n == 1)
		return verdict_to(false, chain_of_list(e, end->lists.items[0]));
	name = new_name(e, "", name);
	chain = add_chain(e->b, name, NULL, 0, 0);
	if (end->few.n)
		admit_few(e, chain, &end->few, name);
	list_each (grant, &end->lists)
		if (!is_said(e, end, *grant))
			admit_list(e, chain, *grant);
	list_each (grant, &end->anybody)
		finish_admitting(e, add_rule(e->b, chain, 0, NULL, (*grant)->origin), true);
	return verdict_to(false, name);
}
