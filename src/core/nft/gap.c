/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transaction is atomic for rules and for hashed sets, but not for all that the raw stage asks.
 * The kernel shows the new elements of an interval set a moment after it took the old ones away,
 * and a packet that entered an old chain just before the change finds the old verdict map empty
 * (nf_tables_commit: the generation first, then the sets' own commit; Linux 6.18: a few packets for
 * each table that is made anew). A packet may also look into one set before the change and into the
 * next one behind it: what moves from the second into the first is in neither. An established flow
 * would meet Docker's raw drop then. So what the raw stage will ask is laid into a table of its own
 * before the transaction, and that is taken away behind it. The table belongs to the socket, and
 * goes with a process that dies.
 */
#include "core/nft/message.h"

#include <string.h>

#define RAW "raw"

enum {
	BEHIND = 5,   /* runs after our chain RAW, which clears the mark, and before Docker's
			 (core/ruleset/builder.h) */
	MOST = 10000, /* maximum number of elements: above it, the copy costs more than a lost
			 packet */
};

/* What the raw chain looks up: indexes of the ruleset's sets, maps and chains. */
struct picked {
	const struct ruleset *rs;
	bool *sets, *chains;
	uint8_t **added; /* for a set of pairs: the elements that are added; NULL: none */
	uint32_t n_elements;
};

static void pick_chain(struct picked *p, const char *name);

static bool has_pairs(const struct set *set)
{
	return set->role == SET_ALLOW || set->role == SET_UNCOUNTED;
}

static uint8_t *added_of(const struct picked *p, const struct set *set)
{
	return p->added[set - p->rs->sets.items];
}

static void pick_set(struct picked *p, const char *name)
{
	const struct set *set = ruleset_find_set(p->rs, name);
	bool *is_picked = set ? &p->sets[set - p->rs->sets.items] : NULL;

	if (!is_picked || *is_picked)
		return;
	*is_picked = true;
	p->n_elements += has_pairs(set) ? 0 : set->n;
	if (set->verdicts)
		list_each (verdict, &set->verdicts->list)
			pick_chain(p, verdict->chain);
}

/*
 * Elements that stay in a set of pairs are found at any time. Their packets had the mark cleared by
 * our raw chain before.
 */
static bool is_needed(const struct picked *p, const struct rule *rule)
{
	const struct term *first = rule->terms.items;
	const struct set *set;

	if (!rule->terms.n || first->kind == TERM_MARK_CLEAR)
		return false;
	set = first->kind == TERM_LOOKUP ? ruleset_find_set(p->rs, first->name) : NULL;
	return !set || !has_pairs(set) || added_of(p, set);
}

static void pick_terms(struct picked *p, const struct rule *rule)
{
	list_each (term, &rule->terms)
		if (term->kind == TERM_JUMP || term->kind == TERM_GOTO)
			pick_chain(p, term->name);
		else if (term->n_loads)
			pick_set(p, term->name);
}

static void pick_chain(struct picked *p, const char *name)
{
	const struct chain *chain = ruleset_find_chain(p->rs, name);
	bool *is_picked = chain ? &p->chains[chain - p->rs->chains.items] : NULL;

	if (!is_picked || *is_picked)
		return;
	*is_picked = true;
	list_each (rule, &chain->rules)
		if (!chain->type || is_needed(p, rule))
			pick_terms(p, rule);
}

static bool is_hashed(const struct nft_change *change)
{
	return change->object == NFT_ELEMENTS && !change->set->interval &&
	       !set_has_verdicts(change->set);
}

/* The set that holds all of these elements. `differ` is set if they are in several sets. */
static const struct set *one_set(const struct set *set, const struct set *next, bool *differ)
{
	*differ = *differ || (set && strcmp(set->name, next->name) != 0);
	return next;
}

/*
 * True if the change removes more than elements of hashed sets, or moves a flow into a set of
 * pairs.
 */
static bool is_risky(const nft_changes *changes)
{
	const struct set *from = NULL, *to = NULL;
	bool differ = false;

	list_each (change, changes) {
		if (change->sign == '-' && !is_hashed(change))
			return true;
		if (change->object != NFT_ELEMENTS)
			continue;
		if (change->sign == '-')
			from = one_set(from, change->set, &differ);
		else if (has_pairs(change->set))
			to = one_set(to, change->set, &differ);
	}
	return from && to && (differ || strcmp(from->name, to->name) != 0);
}

static void note_added(struct picked *p, struct arena *a, const nft_changes *changes)
{
	list_each (change, changes) {
		uint8_t **added;

		if (change->sign != '+' || change->object != NFT_ELEMENTS ||
		    !has_pairs(change->set))
			continue;
		added = &p->added[change->set - p->rs->sets.items];
		if (!*added)
			*added = arena_array(a, uint8_t, change->set->n);
		memset(*added + change->first, 1, change->n);
		p->n_elements += change->n;
	}
}

static void begin(struct nft_batch *batch, struct arena *a)
{
	nft_batch_begin(batch, a, 1);
	batch->table = NFT_GAP_TABLE;
}

static void add_rules(struct nft_batch *batch, struct arena *a, const struct picked *p,
		      const struct chain *chain)
{
	list_each (rule, &chain->rules)
		if (!chain->type || is_needed(p, rule))
			nft_add_rule(batch, a, chain, rule, NFT_AT_END);
}

static void write_before(struct nft_batch *batch, struct arena *a, const struct picked *p)
{
	begin(batch, a);
	nft_add_own_table(batch, a);
	for (uint32_t i = 0; i < p->rs->sets.n; i++) {
		struct set set = p->rs->sets.items[i];

		set.counts = false;
		if (p->sets[i])
			nft_add_set(batch, a, &set, i + 1);
	}
	for (uint32_t i = 0; i < p->rs->chains.n; i++) {
		struct chain chain = p->rs->chains.items[i];

		chain.priority += BEHIND;
		if (p->chains[i])
			nft_add_chain(batch, a, &chain);
	}
	for (uint32_t i = 0; i < p->rs->sets.n; i++)
		if (p->sets[i])
			nft_add_elements(batch, a, &p->rs->sets.items[i], p->added[i]);
	for (uint32_t i = 0; i < p->rs->chains.n; i++)
		if (p->chains[i])
			add_rules(batch, a, p, &p->rs->chains.items[i]);
	nft_batch_end(batch, a);
}

static void write_behind(struct nft_batch *batch, struct arena *a)
{
	begin(batch, a);
	nft_delete_table(batch, a);
	nft_batch_end(batch, a);
}

void nft_bridge_gap(struct nft_batch *before, struct nft_batch *behind, struct arena *a,
		    const struct ruleset *want, const struct ruleset *have,
		    const nft_changes *changes)
{
	struct picked p = {.rs = want,
			   .sets = arena_array(a, bool, want->sets.n + 1),
			   .chains = arena_array(a, bool, want->chains.n + 1),
			   .added = arena_array(a, uint8_t *, want->sets.n + 1)};

	if (!ruleset_find_chain(have, RAW) || !ruleset_find_chain(want, RAW) || !is_risky(changes))
		return;
	note_added(&p, a, changes);
	pick_chain(&p, RAW);
	if (!p.n_elements || p.n_elements > MOST)
		return;
	write_before(before, a, &p);
	write_behind(behind, a);
}
