/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel takes away what a transaction deletes at one moment, and shows what it adds to
 * interval sets at the next (nf_tables_commit: the generation first, then the sets' own commit).
 * What is looked up for every packet, before Docker's raw drops, would miss established flows in
 * between. So what such a transaction is about to bring is laid into a table of its own before it,
 * and that is taken away behind it. It belongs to the socket, and goes with a process that dies.
 */
#include "core/nft/message.h"

#include <string.h>

#define RAW "raw"

enum { BEHIND = 5 }; /* of RAW, which clears the mark; still before Docker (core/ruleset/impl.h) */

/* What the other set does not hold, as a set of its own; n is 0 where it holds everything. */
static struct set only_in(const struct set *set, const struct set *other, struct arena *a)
{
	struct set rest = *set;
	uint32_t stride = set_stride(set);

	rest.elements = arena_alloc(a, (size_t)set->n * stride);
	rest.origins = set->origins ? arena_array(a, uint32_t, set->n) : NULL;
	rest.n = 0;
	for (uint32_t i = 0; i < set->n; i++) {
		if (other && set_has(other, set_element(set, i)))
			continue;
		memcpy(rest.elements + (size_t)rest.n * stride, set_element(set, i), stride);
		if (rest.origins)
			rest.origins[rest.n] = set->origins[i];
		rest.n++;
	}
	return rest;
}

/* Something that lets packets through goes, or moves. */
static bool loses_any(const struct ruleset *want, const struct ruleset *have)
{
	list_each (set, &have->sets) {
		const struct set *stays = ruleset_find_set(want, set->name);

		if (!strstr(set->name, "allow"))
			continue;
		for (uint32_t i = 0; i < set->n; i++)
			if (!stays || set_stride(stays) != set_stride(set) ||
			    !set_has(stays, set_element(set, i)))
				return true;
	}
	return false;
}

static const struct term *lookup_of(const struct rule *rule)
{
	list_each (term, &rule->terms)
		if (term->kind == TERM_LOOKUP)
			return term;
	return NULL;
}

/* RAW's rules that look into what stands meanwhile, once more. */
static void add_chain(struct ruleset *meanwhile, struct arena *a, const struct chain *raw)
{
	struct chain *chain = list_add(a, &meanwhile->chains);

	*chain = (struct chain){.name = RAW,
				.type = raw->type,
				.hook = raw->hook,
				.priority = raw->priority + BEHIND};
	list_each (rule, &raw->rules) {
		const struct term *lookup = lookup_of(rule);

		if (lookup && ruleset_find_set(meanwhile, lookup->name))
			*list_add(a, &chain->rules) = *rule;
	}
}

static bool looks_into(const struct chain *chain, const struct set *set)
{
	list_each (rule, &chain->rules) {
		const struct term *lookup = lookup_of(rule);

		if (lookup && !strcmp(lookup->name, set->name))
			return true;
	}
	return false;
}

/* What lets through, as far as it comes now; what refuses, all of it. True: something comes. */
static bool find_sets(struct ruleset *meanwhile, struct arena *a, const struct ruleset *want,
		      const struct ruleset *have, const struct chain *raw)
{
	bool comes = false;

	list_each (set, &want->sets) {
		bool lets_through = strstr(set->name, "allow");
		struct set part = *set;

		if (!looks_into(raw, set) || (lets_through && !set->interval))
			continue;
		if (lets_through)
			part = only_in(set, ruleset_find_set(have, set->name), a);
		part.counts = false;
		if (part.n)
			memcpy(list_add(a, &meanwhile->sets), &part, sizeof(part));
		comes |= lets_through && part.n;
	}
	return comes;
}

static void begin(struct nft_batch *batch, struct arena *a)
{
	nft_batch_begin(batch, a, 1);
	batch->table = NFT_MEANWHILE_TABLE;
}

static void write_before(struct nft_batch *batch, struct arena *a, const struct ruleset *meanwhile)
{
	begin(batch, a);
	nft_add_own_table(batch, a);
	for (uint32_t i = 0; i < meanwhile->sets.n; i++) {
		nft_add_set(batch, a, &meanwhile->sets.items[i], i + 1);
		nft_add_elements(batch, a, &meanwhile->sets.items[i], NULL);
	}
	list_each (chain, &meanwhile->chains) {
		nft_add_chain(batch, a, chain);
		list_each (rule, &chain->rules)
			nft_add_rule(batch, a, chain, rule, NFT_AT_END);
	}
	nft_batch_end(batch, a);
}

static void write_behind(struct nft_batch *batch, struct arena *a)
{
	begin(batch, a);
	nft_delete_table(batch, a);
	nft_batch_end(batch, a);
}

void nft_meanwhile(struct nft_batch *before, struct nft_batch *behind, struct arena *a,
		   const struct ruleset *want, const struct ruleset *have)
{
	static const struct ruleset nothing;
	const struct chain *raw = ruleset_find_chain(want, RAW);
	bool anew = nft_replaces_table(want, have);
	struct ruleset meanwhile = {.exists = true};

	if (!raw || !ruleset_find_chain(have, RAW) ||
	    !find_sets(&meanwhile, a, want, anew ? &nothing : have, raw) ||
	    !(anew || loses_any(want, have)))
		return;
	add_chain(&meanwhile, a, raw);
	write_before(before, a, &meanwhile);
	write_behind(behind, a);
}
