/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Computes the transaction that turns one ruleset into another. Equal objects are not touched, so
 * their counters survive. Additions are sent before the removals of what they replace. The kernel
 * applies a batch as a whole.
 */
#include "core/nft/message.h"
#include "core/nft/nlattr.h"

#include <linux/netfilter/nf_tables.h>
#include <string.h>

/*
 * A set whose declared size is more than this many times the wanted size is replaced by a smaller
 * one.
 */
enum { ROOMY = 8 };

struct transaction {
	struct nft_batch *batch;
	nft_changes *changes;
	struct arena *a;
	const struct ruleset *want, *have;
};

static struct nft_change *note(struct transaction *t, char sign, enum nft_object object)
{
	struct nft_change *change = list_add(t->a, t->changes);

	change->sign = sign;
	change->object = object;
	change->family = t->want->family;
	return change;
}

static void note_set(struct transaction *t, char sign, const struct set *set)
{
	note(t, sign, NFT_SET)->set = set;
}

static void note_elements(struct transaction *t, char sign, const struct set *set, uint32_t first,
			  uint32_t n)
{
	struct nft_change *last = t->changes->n ? &t->changes->items[t->changes->n - 1] : NULL;
	struct nft_change *change;

	if (last && last->object == NFT_ELEMENTS && last->sign == sign && last->set == set &&
	    last->first + last->n == first) {
		last->n += n;
		return;
	}
	change = note(t, sign, NFT_ELEMENTS);
	change->set = set;
	change->first = first;
	change->n = n;
}

static void note_rule(struct transaction *t, char sign, const struct chain *chain,
		      const struct rule *rule)
{
	struct nft_change *change = note(t, sign, rule ? NFT_RULE : NFT_CHAIN);

	change->chain = chain;
	change->rule = rule;
}

uint32_t nft_changes_count(const nft_changes *changes)
{
	uint32_t n = 0;

	list_each (change, changes)
		n += change->object == NFT_ELEMENTS ? change->n : 1;
	return n;
}

/* --- equal or not --- */

static bool same_set_shape(const struct set *a, const struct set *b)
{
	return a->n_key == b->n_key && a->n_data == b->n_data && a->interval == b->interval &&
	       a->counts == b->counts && !memcmp(a->key, b->key, a->n_key * sizeof(*a->key)) &&
	       !memcmp(a->data, b->data, a->n_data * sizeof(*a->data));
}

static bool still_fits(const struct set *want, const struct set *have)
{
	return (!have->size && !want->size) ||
	       (want->n <= have->size && have->size / ROOMY <= want->size);
}

static bool same_chain_shape(const struct chain *a, const struct chain *b)
{
	if (!a->type || !b->type)
		return a->type == b->type;
	return !strcmp(a->type, b->type) && a->hook == b->hook && a->priority == b->priority &&
	       a->drops == b->drops;
}

static bool same_bytes(struct attrs a, struct attrs b)
{
	return a.len == b.len && (!a.len || !memcmp(a.bytes, b.bytes, a.len));
}

/*
 * Kernels differ in the flag of nested attributes. If the bytes differ, compare the attributes one
 * by one.
 */
static bool same_value(struct attrs want, struct attrs have, int depth)
{
	struct attrs w = want, h = have, w_value, h_value;
	uint16_t w_type, h_type;

	if (same_bytes(want, have))
		return true;
	if (!depth || want.len < 4 || want.len != have.len)
		return false;
	while (attr_next(&w, &w_type, &w_value))
		if (!attr_next(&h, &h_type, &h_value) || w_type != h_type ||
		    !same_value(w_value, h_value, depth - 1))
			return false;
	return !w.len && !h.len;
}

/*
 * A higher attribute comes from a newer kernel than our headers. It does not change what we asked
 * for.
 */
static uint16_t most_attributes(const char *expression)
{
	static const struct {
		const char *name;
		uint16_t most;
	} known[] = {
		{"bitwise", NFTA_BITWISE_MAX}, {"cmp", NFTA_CMP_MAX},
		{"ct", NFTA_CT_MAX},	       {"fib", NFTA_FIB_MAX},
		{"limit", NFTA_LIMIT_FLAGS},   {"log", NFTA_LOG_MAX},
		{"lookup", NFTA_LOOKUP_MAX},   {"masq", NFTA_MASQ_MAX},
		{"meta", NFTA_META_MAX},       {"nat", NFTA_NAT_MAX},
		{"payload", NFTA_PAYLOAD_MAX}, {"immediate", NFTA_IMMEDIATE_MAX},
	};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (!strcmp(expression, known[i].name))
			return known[i].most;
	return 0;
}

/*
 * The kernel's expression must have all of our attributes, and no other one that changes its
 * effect.
 */
static bool same_expression(struct attrs want, struct attrs have)
{
	const char *name = attr_text(attr_find(want, NFTA_EXPR_NAME));
	struct attrs said = attr_find(want, NFTA_EXPR_DATA), rest = said, value;
	struct attrs there = attr_find(have, NFTA_EXPR_DATA);
	uint16_t type, most = most_attributes(name);

	if (strcmp(name, attr_text(attr_find(have, NFTA_EXPR_NAME))) != 0)
		return false;
	if (!strcmp(name, "counter"))
		return true; /* counter values are not compared */
	while (attr_next(&rest, &type, &value))
		if (!same_value(value, attr_find(there, type), 3))
			return false;
	while (attr_next(&there, &type, &value))
		if (type <= most && !attr_find(said, type).bytes)
			return false;
	return true;
}

static bool same_expressions(const struct rule *want, const struct rule *have)
{
	struct attrs w = {want->exprs, want->exprs_len}, h = {have->exprs, have->exprs_len};
	struct attrs w_expr, h_expr;
	uint16_t type;

	if (same_bytes(w, h))
		return true;
	while (attr_next(&w, &type, &w_expr))
		if (!attr_next(&h, &type, &h_expr) || !same_expression(w_expr, h_expr))
			return false;
	return !h.len;
}

bool nft_same_rule(const struct rule *want, const struct rule *have)
{
	const char *a = want->comment ? want->comment : "";
	const char *b = have->comment ? have->comment : "";

	return !strcmp(a, b) && same_expressions(want, have);
}

/* A set or chain of another shape can't be edited; the table is replaced. */
bool nft_replaces_table(const struct ruleset *want, const struct ruleset *have)
{
	if (!want->exists || !have->exists)
		return false;
	if (have->odd)
		return true;
	list_each (set, &want->sets) {
		const struct set *old = ruleset_find_set(have, set->name);

		if (old && (!same_set_shape(set, old) || !still_fits(set, old)))
			return true;
	}
	list_each (chain, &want->chains) {
		const struct chain *old = ruleset_find_chain(have, chain->name);

		if (old && !same_chain_shape(chain, old))
			return true;
	}
	return false;
}

/* --- elements --- */

enum { BLOCK = 64 };

/*
 * Both lists are sorted, so one walk finds the elements that only one of them has. Most elements
 * are equal; equal blocks are skipped at once.
 */
static void compare_elements(const struct set *want, const struct set *have, uint8_t *add,
			     uint8_t *drop)
{
	size_t stride = set_stride(want);
	uint32_t w = 0, h = 0;

	while (w < want->n || h < have->n) {
		int order;

		while (want->n - w >= BLOCK && have->n - h >= BLOCK &&
		       !memcmp(want->elements + w * stride, have->elements + h * stride,
			       BLOCK * stride)) {
			w += BLOCK;
			h += BLOCK;
		}
		order = w == want->n ? 1 : h == have->n ? -1 : 0;

		if (!order)
			order = memcmp(want->elements + w * stride, have->elements + h * stride,
				       stride);
		if (order < 0)
			add[w] = 1;
		else if (order > 0)
			drop[h] = 1;
		w += order <= 0;
		h += order >= 0;
	}
}

static void edit_set(struct transaction *t, const struct set *want, const struct set *have)
{
	uint8_t *add = arena_alloc(t->a, want->n + 1), *drop = arena_alloc(t->a, have->n + 1);
	bool changed = false;

	if (want->n == have->n && (!want->n || !memcmp(want->elements, have->elements,
						       (size_t)want->n * set_stride(want))))
		return;
	compare_elements(want, have, add, drop);
	for (uint32_t i = 0; i < have->n; i++)
		if (drop[i])
			note_elements(t, '-', have, i, 1);
	for (uint32_t i = 0; i < want->n; i++)
		if (add[i])
			note_elements(t, '+', want, i, 1);
	for (uint32_t i = 0; i < have->n && !changed; i++)
		changed = drop[i];
	if (changed)
		nft_delete_elements(t->batch, t->a, have, drop);
	nft_add_elements(t->batch, t->a, want, add);
}

/*
 * Sets and chains are created empty first, because rules refer to sets, and elements of verdict
 * maps refer to chains.
 */
static void add_missing_sets(struct transaction *t)
{
	for (uint32_t i = 0; i < t->want->sets.n; i++) {
		const struct set *set = &t->want->sets.items[i];

		if (ruleset_find_set(t->have, set->name))
			continue;
		nft_add_set(t->batch, t->a, set, i + 1);
		note_set(t, '+', set);
	}
}

static void edit_sets(struct transaction *t)
{
	list_each (set, &t->want->sets) {
		const struct set *old = ruleset_find_set(t->have, set->name);

		if (old) {
			edit_set(t, set, old);
		} else if (set->n) {
			nft_add_elements(t->batch, t->a, set, NULL);
			note_elements(t, '+', set, 0, set->n);
		}
	}
}

/* --- rules --- */

/*
 * Finds the rule of `have` that stands for rule w of `want`: the next equal one after the last
 * match.
 */
static uint32_t *match_rules(struct transaction *t, const struct chain *want,
			     const struct chain *have)
{
	uint32_t *match = arena_array(t->a, uint32_t, want->rules.n + 1), from = 0;
	uint32_t w_end = want->rules.n, h_end = have->rules.n;

	memset(match, 0xff, (want->rules.n + 1) * sizeof(*match));
	while (w_end && h_end &&
	       nft_same_rule(&want->rules.items[w_end - 1], &have->rules.items[h_end - 1]))
		match[--w_end] = --h_end;
	for (uint32_t w = 0; w < w_end; w++)
		for (uint32_t h = from; h < h_end && match[w] == NONE; h++)
			if (nft_same_rule(&want->rules.items[w], &have->rules.items[h])) {
				match[w] = h;
				from = h + 1;
			}
	return match;
}

static void add_missing_rules(struct transaction *t, const struct chain *want,
			      const struct chain *have, const uint32_t *match)
{
	/* The next rule that stays, searched from the end. New rules are inserted before it. */
	uint64_t *before = arena_array(t->a, uint64_t, want->rules.n + 1);

	for (uint32_t w = want->rules.n; w-- > 0;)
		before[w] = match[w] != NONE ? have->rules.items[match[w]].handle : before[w + 1];
	for (uint32_t w = 0; w < want->rules.n; w++)
		if (match[w] == NONE) {
			nft_add_rule(t->batch, t->a, want, &want->rules.items[w], before[w]);
			note_rule(t, '+', want, &want->rules.items[w]);
		}
}

static void delete_other_rules(struct transaction *t, const struct chain *have,
			       const uint32_t *match, uint32_t n_match)
{
	uint8_t *stays = arena_alloc(t->a, have->rules.n + 1);

	for (uint32_t w = 0; w < n_match; w++)
		if (match[w] != NONE)
			stays[match[w]] = 1;
	for (uint32_t h = 0; h < have->rules.n; h++)
		if (!stays[h]) {
			nft_delete_rule(t->batch, t->a, have, &have->rules.items[h]);
			note_rule(t, '-', have, &have->rules.items[h]);
		}
}

static void edit_rules(struct transaction *t)
{
	uint32_t **matches = arena_array(t->a, uint32_t *, t->want->chains.n + 1);
	static const struct chain nothing;

	for (uint32_t i = 0; i < t->want->chains.n; i++) {
		const struct chain *want = &t->want->chains.items[i];
		const struct chain *have = ruleset_find_chain(t->have, want->name);

		matches[i] = match_rules(t, want, have ? have : &nothing);
		add_missing_rules(t, want, have ? have : &nothing, matches[i]);
	}
	for (uint32_t i = 0; i < t->want->chains.n; i++) {
		const struct chain *want = &t->want->chains.items[i];
		const struct chain *have = ruleset_find_chain(t->have, want->name);

		if (have)
			delete_other_rules(t, have, matches[i], want->rules.n);
	}
}

static void add_missing_chains(struct transaction *t)
{
	list_each (chain, &t->want->chains)
		if (!ruleset_find_chain(t->have, chain->name)) {
			nft_add_chain(t->batch, t->a, chain);
			note_rule(t, '+', chain, NULL);
		}
}

/*
 * Remove references before what they refer to: first rules of removed chains, then sets, whose
 * elements jump to chains, then chains.
 */
static void delete_left_objects(struct transaction *t)
{
	list_each (chain, &t->have->chains)
		if (!ruleset_find_chain(t->want, chain->name) && chain->rules.n)
			nft_flush_chain(t->batch, t->a, chain);
	list_each (set, &t->have->sets)
		if (!ruleset_find_set(t->want, set->name)) {
			nft_delete_set(t->batch, t->a, set);
			note_set(t, '-', set);
		}
	for (uint32_t i = t->have->chains.n; i-- > 0;) {
		const struct chain *chain = &t->have->chains.items[i];

		if (ruleset_find_chain(t->want, chain->name))
			continue;
		nft_delete_chain(t->batch, t->a, chain);
		note_rule(t, '-', chain, NULL);
	}
}

/* --- the whole --- */

static void add_everything(struct transaction *t)
{
	static const struct ruleset nothing;

	t->have = &nothing;
	nft_add_table(t->batch, t->a);
	note(t, '+', NFT_TABLE);
	add_missing_sets(t);
	add_missing_chains(t);
	edit_sets(t);
	edit_rules(t);
}

void nft_diff(struct nft_batch *batch, nft_changes *changes, struct arena *a,
	      const struct ruleset *want, const struct ruleset *have)
{
	struct transaction t = {
		.batch = batch, .changes = changes, .a = a, .want = want, .have = have};
	bool anew = nft_replaces_table(want, have);

	if (have->exists && (!want->exists || anew)) {
		nft_delete_table(batch, a);
		note(&t, '-', NFT_TABLE);
	}
	if (!want->exists)
		return;
	if (!have->exists || anew) {
		add_everything(&t);
		return;
	}
	add_missing_sets(&t);
	add_missing_chains(&t);
	edit_sets(&t);
	edit_rules(&t);
	delete_left_objects(&t);
}
