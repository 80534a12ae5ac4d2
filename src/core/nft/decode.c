/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel dumps of our table, back into a ruleset. Rules keep their expressions as bytes:
 * they are compared with what we would send, never understood. Anything odd that stands in our
 * table (foreign sets, types we do not use) decodes to something that differs from what is wanted,
 * and so goes away.
 */
#include "core/nft/nft.h"
#include "core/nft/nlattr.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DUMPED = 1 << 24 }; /* elements of one set: a bound for what we believe */

static const char *keep_text(struct arena *a, struct attrs value)
{
	return arena_strdup(a, attr_text(value));
}

static bool is_asked_for(const struct ruleset *have, struct attrs attrs, uint16_t table_type)
{
	return !strcmp(attr_text(attr_find(attrs, table_type)),
		       have->table ? have->table : TABLE_NAME);
}

/* --- sets --- */

/* nft's type numbers, 6 bits each, the first field highest; 0 fields if one is unknown. */
static uint8_t decode_types(enum field *fields, uint32_t type)
{
	uint8_t n = 0;

	for (int shift = 24; shift >= 0; shift -= 6) {
		uint32_t id = type >> shift & 0x3f;
		enum field field = FIELD_IP4;

		if (!id)
			continue;
		while (field <= FIELD_IFNAME && field_types[field].id != id)
			field++;
		if (field > FIELD_IFNAME || n == MAX_FIELDS)
			return 0;
		fields[n++] = field;
	}
	return n;
}

static void decode_data_type(struct set *set, uint32_t type)
{
	if (type == NFT_DATA_VERDICT)
		set->data[set->n_data++] = FIELD_VERDICT;
	else
		set->n_data = decode_types(set->data, type);
}

static void decode_set(struct ruleset *have, struct arena *a, struct attrs attrs)
{
	struct set *set = list_add(a, &have->sets);
	uint32_t flags = attr_be32(attr_find(attrs, NFTA_SET_FLAGS));
	struct attrs desc = attr_find(attrs, NFTA_SET_DESC);

	set->name = keep_text(a, attr_find(attrs, NFTA_SET_NAME));
	set->n_key = decode_types(set->key, attr_be32(attr_find(attrs, NFTA_SET_KEY_TYPE)));
	if (flags & NFT_SET_MAP)
		decode_data_type(set, attr_be32(attr_find(attrs, NFTA_SET_DATA_TYPE)));
	set->interval = flags & NFT_SET_INTERVAL;
	set->counts = attr_find(attrs, NFTA_SET_EXPR).len;
	set->size = attr_be32(attr_find(desc, NFTA_SET_DESC_SIZE));
	if (flags & ~(uint32_t)(NFT_SET_MAP | NFT_SET_INTERVAL | NFT_SET_CONCAT))
		set->n_key = 0; /* constant, timeout, dynamic: not of our making */
}

/* --- elements --- */

static bool put_value(uint8_t *at, uint32_t room, struct attrs part)
{
	struct attrs value = attr_find(part, NFTA_DATA_VALUE);

	if (value.len > room || value.len + 3 < room)
		return false;
	memcpy(at, value.bytes, value.len);
	return true;
}

static bool put_data(struct set *set, struct arena *a, uint8_t *at, struct attrs data)
{
	struct attrs words = attr_find(data, NFTA_DATA_VERDICT);
	int code = (int)attr_be32(attr_find(words, NFTA_VERDICT_CODE));
	bool jumps = code == NFT_GOTO || code == NFT_JUMP; /* others are not of our making */
	struct verdict verdict;

	if (!set_has_verdicts(set))
		return put_value(at, set_data_len(set), data);
	verdict = verdict_to(code == NFT_GOTO,
			     jumps ? attr_text(attr_find(words, NFTA_VERDICT_CHAIN)) : "");
	if (!set_find_verdict(set, verdict.id)) {
		verdict.chain = arena_strdup(a, verdict.chain);
		set_note_verdict(set, a, verdict);
	}
	memcpy(at, &verdict.id, sizeof(verdict.id));
	return true;
}

/*
 * An element of a lone interval comes as two: they are kept as (key, 1 for a start, 0 for an end),
 * which sorts an end before the start that has its place, until nft_decode_finish pairs them.
 */
static bool decode_element(struct set *set, struct arena *a, struct arena *loose,
			   struct attrs attrs)
{
	uint32_t key = set_key_len(set), flags = attr_be32(attr_find(attrs, NFTA_SET_ELEM_FLAGS));
	uint8_t *record;

	if (set->n >= MAX_DUMPED)
		return false;
	record = set_add_read(set, loose);
	if (!put_value(record, key, attr_find(attrs, NFTA_SET_ELEM_KEY)))
		return false;
	record += key;
	if (set->interval && set->n_key == 1)
		*record = !(flags & NFT_SET_ELEM_INTERVAL_END);
	else if (set->interval && !put_value(record, key, attr_find(attrs, NFTA_SET_ELEM_KEY_END)))
		return false;
	if (set->interval)
		record += key;
	if (flags & NFT_SET_ELEM_INTERVAL_END)
		memset(record, 0, set_data_len(set));
	else if (set->n_data)
		return put_data(set, a, record, attr_find(attrs, NFTA_SET_ELEM_DATA));
	return true;
}

static bool decode_elements(struct ruleset *have, struct arena *a, struct arena *loose,
			    struct attrs attrs, struct error *err)
{
	const char *name = attr_text(attr_find(attrs, NFTA_SET_ELEM_LIST_SET));
	struct set *set = ruleset_find_set(have, name);
	struct attrs rest = attr_find(attrs, NFTA_SET_ELEM_LIST_ELEMENTS), element;
	uint16_t type;

	if (!set)
		return error_set(err, EBADMSG, "elements of a set that was not listed");
	if (!set->n_key)
		return true; /* replaced whole, whatever it holds */
	while (attr_next(&rest, &type, &element))
		if (!decode_element(set, a, loose, element)) {
			set->n_key = 0;
			set->n = 0;
			return true;
		}
	return true;
}

static void pair_ends(struct set *set, struct arena *a)
{
	uint32_t len = set_key_len(set), stride = set_stride(set), n = 0;
	uint32_t width = field_types[set->key[0]].len; /* without padding */
	uint8_t *made = arena_alloc(a, (size_t)(set->n + 1) * stride);
	bool open = false;

	for (uint32_t i = 0; i < set->n; i++) {
		const uint8_t *record = set_element(set, i);
		uint8_t *last = made + (size_t)n * stride;

		if (record[len]) { /* a start */
			memcpy(last, record, len);
			memset(last + len, 0xff, width);
			memcpy(last + 2 * len, record + 2 * len, stride - 2 * len);
			open = true;
			continue;
		}
		if (!open)
			continue; /* the space before the first */
		memcpy(last + len, record, len);
		for (uint32_t at = width; at && last[len + at - 1]-- == 0;)
			at--;
		open = false;
		n++;
	}
	set->elements = made;
	set->n = n + open;
}

void nft_decode_finish(struct ruleset *have, struct arena *a)
{
	list_each (set, &have->sets) {
		if (!set->n_key)
			continue;
		set_finish(set, a);
		if (set->interval && set->n_key == 1)
			pair_ends(set, a);
	}
}

/* --- chains and rules --- */

static void decode_chain(struct ruleset *have, struct arena *a, struct attrs attrs)
{
	struct chain *chain = list_add(a, &have->chains);
	struct attrs hook = attr_find(attrs, NFTA_CHAIN_HOOK);

	chain->name = keep_text(a, attr_find(attrs, NFTA_CHAIN_NAME));
	if (!hook.bytes)
		return;
	chain->type = keep_text(a, attr_find(attrs, NFTA_CHAIN_TYPE));
	chain->hook = attr_be32(attr_find(hook, NFTA_HOOK_HOOKNUM));
	chain->priority = (int32_t)attr_be32(attr_find(hook, NFTA_HOOK_PRIORITY));
	chain->drops = attr_be32(attr_find(attrs, NFTA_CHAIN_POLICY)) == NF_DROP;
}

static const char *decode_comment(struct arena *a, struct attrs userdata)
{
	while (userdata.len >= 2) {
		uint8_t type = userdata.bytes[0], len = userdata.bytes[1];

		if (len + 2u > userdata.len)
			return NULL;
		if (type == 0 && len && userdata.bytes[1 + len] == '\0')
			return arena_strdup(a, (const char *)userdata.bytes + 2);
		userdata = (struct attrs){userdata.bytes + 2 + len, userdata.len - 2 - len};
	}
	return NULL;
}

static bool decode_rule(struct ruleset *have, struct arena *a, struct attrs attrs,
			struct error *err)
{
	const char *name = attr_text(attr_find(attrs, NFTA_RULE_CHAIN));
	struct chain *chain = ruleset_find_chain(have, name);
	struct attrs exprs = attr_find(attrs, NFTA_RULE_EXPRESSIONS);
	struct rule *rule;

	if (!chain)
		return error_set(err, EBADMSG, "a rule of a chain that was not listed");
	rule = list_add(a, &chain->rules);
	rule->origin = NONE;
	rule->handle = attr_be64(attr_find(attrs, NFTA_RULE_HANDLE));
	rule->comment = decode_comment(a, attr_find(attrs, NFTA_RULE_USERDATA));
	rule->exprs_len = (uint32_t)exprs.len;
	if (exprs.len)
		rule->exprs = memcpy(arena_alloc(a, exprs.len), exprs.bytes, exprs.len);
	return true;
}

/* Lists come before what is in them: then names are found quickly. */
static void index_names(struct ruleset *have, struct arena *a)
{
	if (have->sets_by_name.n != have->sets.n || have->chains_by_name.n != have->chains.n)
		ruleset_index(have, a);
}

static void decode_table(struct ruleset *have, struct attrs attrs)
{
	have->exists = true;
	have->flags = attr_be32(attr_find(attrs, NFTA_TABLE_FLAGS));
	have->handle = attr_be64(attr_find(attrs, NFTA_TABLE_HANDLE));
}

bool nft_decode_message(struct ruleset *have, struct arena *a, struct arena *loose,
			const void *nlmsg, struct error *err)
{
	const struct nlmsghdr *message = nlmsg;
	struct attrs attrs = nlmsg_attrs(message);

	if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return error_set(err, EBADMSG, "an answer of another subsystem");
	switch (message->nlmsg_type & 0xff) {
	case NFT_MSG_NEWTABLE:
		if (is_asked_for(have, attrs, NFTA_TABLE_NAME))
			decode_table(have, attrs);
		return true;
	case NFT_MSG_NEWSET:
		if (is_asked_for(have, attrs, NFTA_SET_TABLE))
			decode_set(have, a, attrs);
		return true;
	case NFT_MSG_NEWCHAIN:
		if (is_asked_for(have, attrs, NFTA_CHAIN_TABLE))
			decode_chain(have, a, attrs);
		return true;
	case NFT_MSG_NEWRULE:
		index_names(have, a);
		return !is_asked_for(have, attrs, NFTA_RULE_TABLE) ||
		       decode_rule(have, a, attrs, err);
	case NFT_MSG_NEWSETELEM:
		index_names(have, a);
		return !is_asked_for(have, attrs, NFTA_SET_ELEM_LIST_TABLE) ||
		       decode_elements(have, a, loose, attrs, err);
	default:
		return true;
	}
}
