/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ruleset/sources.h"

#include "core/ruleset/runs.h"

#include <ctype.h>
#include <stdlib.h>

enum {
	MAX_NAME_LEN = 100, /* longest part of a user's name in the name of a set or chain */
};

/* --- names --- */

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || strchr("_.-/", c);
}

const char *new_name(struct builder *b, const char *prefix, const char *text)
{
	char *plain = arena_printf(b->a, "%s%.*s", prefix, MAX_NAME_LEN, text), *name = plain;

	for (char *at = plain; *at; at++)
		*at = is_name_char(*at) ? *at : '_';
	for (uint32_t n = 2; hash_index_find(&b->by_name, hash_text(name), i,
					     !strcmp(b->names.items[i], name)) != NONE;
	     n++)
		name = arena_printf(b->a, "%s_%u", plain, n);
	*list_add(b->a, &b->names) = name;
	hash_index_grow(&b->by_name, b->a, &b->names, i, hash_text(b->names.items[i]));
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

static struct source_set *add_set_of_sources(struct builder *b, struct source_set set)
{
	*list_add(b->a, &b->sets) = set;
	hash_index_grow(&b->sets_by_hash, b->a, &b->sets, i, b->sets.items[i].hash);
	return &b->sets.items[b->sets.n - 1];
}

struct source_set *list_set(struct builder *b, const struct peers *peers, const char *prefix,
			    const char *name)
{
	uint32_t known = hash_index_find(&b->sets_by_hash, peers->hash, i,
					 same_peers(b->sets.items[i].peers, peers));
	source_list sources = {0};

	if (known != NONE)
		return &b->sets.items[known];
	name = new_name(b, prefix, name ? name : ip_format(peers->items[0].net.ip).s);
	for (uint32_t i = 0; i < peers->n; i++)
		*list_add(b->a, &sources) = (struct source){peers->items[i].net, NONE, false};
	build_set(b, name, &sources, false);
	return add_set_of_sources(
		b, (struct source_set){.peers = peers, .hash = peers->hash, .name = name});
}

const char *set_of_list(struct builder *b, const struct peers *peers, const char *prefix,
			const char *name)
{
	return list_set(b, peers, prefix, name)->name;
}

static uint64_t hash_of_sources(const source_list *sources)
{
	uint64_t hash = HASH_START;

	list_each (source, sources)
		hash = hash_more(hash, &source->net, sizeof(source->net));
	return hash;
}

const char *set_of_sources(struct builder *b, const source_list *sources, const char *name,
			   bool counts)
{
	uint64_t hash = hash_of_sources(sources);
	uint32_t known = NONE;

	if (!counts) /* those that count are not shared: each counts for its own policies */
		known = hash_index_find(&b->sets_by_hash, hash, i,
					!b->sets.items[i].counts &&
						same_sources(b->sets.items[i].sources, sources));
	if (known != NONE)
		return b->sets.items[known].name;
	build_set(b, name, sources, counts);
	add_set_of_sources(b, (struct source_set){.sources = memcpy(arena_new(b->a, source_list),
								    sources, sizeof(*sources)),
						  .counts = counts,
						  .hash = hash,
						  .name = name});
	return name;
}

/* --- an end of a rule --- */

uint32_t n_end_rules(const struct peers *peers)
{
	return !peers || peers->n > FEW_SOURCES ? 1 : peers->n;
}

void term_end(struct builder *b, struct rule *rule, enum term_kind term, enum load load,
	      const struct peers *peers, uint32_t i, const char *prefix, const char *name)
{
	if (peers && peers->n > FEW_SOURCES)
		term_in(b, rule, set_of_list(b, peers, prefix, name), (uint8_t)load);
	else if (peers)
		term_prefix(b, rule, term, peers->items[i].net);
}
