/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the kernel's dump of our table into a ruleset. The expressions of a rule stay bytes: they
 * are compared with those that we would send, and not interpreted. Flags, objects and kinds of sets
 * that we never create, and that no edit removes, make the ruleset `odd`: the table is then
 * replaced. Comments and counters are left out, because they change nothing for a packet.
 */
#include "core/nft/message.h"
#include "core/nft/nlattr.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DUMPED = 1 << 24 }; /* upper bound for the elements of one set */

static const char *keep_text(struct arena *a, struct attrs value)
{
	return arena_strdup(a, attr_text(value));
}

static bool is_asked_for(const struct ruleset *have, struct attrs attrs, uint16_t table_type)
{
	return !strcmp(attr_text(attr_find(attrs, table_type)),
		       have->table ? have->table : TABLE_NAME);
}

/* Only in our table. Other tables may hold anything; we only read them. */
static bool is_ours(const struct ruleset *have)
{
	return !have->table;
}

/* Only the first reason is kept. */
PRINTF_LIKE(3, 4)
static void note_odd(struct ruleset *have, struct arena *a, const char *format, ...)
{
	va_list args;

	if (have->odd || !is_ours(have))
		return;
	va_start(args, format);
	have->odd = arena_vprintf(a, format, args);
	va_end(args);
}

static void decode_table(struct ruleset *have, struct arena *a, struct attrs attrs)
{
	uint32_t flags = attr_be32(attr_find(attrs, NFTA_TABLE_FLAGS));
	uint32_t owner = attr_be32(attr_find(attrs, NFTA_TABLE_OWNER));

	have->exists = true;
	have->flags = flags;
	have->handle = attr_be64(attr_find(attrs, NFTA_TABLE_HANDLE));
	have->uses = attr_be32(attr_find(attrs, NFTA_TABLE_USE));
	if (flags & NFT_TABLE_F_OWNER)
		note_odd(have, a, "the table belongs to the process with netlink port %u", owner);
	else if (flags & NFT_TABLE_F_DORMANT)
		note_odd(have, a, "the table is dormant");
	else if (flags)
		note_odd(have, a, "the table has flags %#x", flags);
}

/* --- sets --- */

/*
 * Decodes nft's type numbers: 6 bits each, the first field in the highest bits. Returns 0 fields if
 * a type is unknown.
 */
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

static bool is_counter(struct attrs expr)
{
	return !strcmp(attr_text(attr_find(expr, NFTA_EXPR_NAME)), "counter");
}

/* The field lengths of a concatenation tell which part of a key is which field. */
static bool has_fields(const struct set *set, struct attrs concat)
{
	struct attrs field;
	uint16_t type;
	uint8_t n = 0;

	while (attr_next(&concat, &type, &field))
		if (n == set->n_key || attr_be32(attr_find(field, NFTA_SET_FIELD_LEN)) !=
					       field_types[set->key[n++]].len)
			return false;
	return n == (set->interval && set->n_key > 1 ? set->n_key : 0);
}

/* The same set as nft_add_set would create it. Name and size are not compared. */
static bool is_plain(const struct set *set, struct attrs attrs)
{
	struct attrs expr = attr_find(attrs, NFTA_SET_EXPR);
	struct attrs desc = attr_find(attrs, NFTA_SET_DESC);
	uint32_t data = attr_be32(attr_find(attrs, NFTA_SET_DATA_LEN));

	return set->n_key && attr_be32(attr_find(attrs, NFTA_SET_FLAGS)) == nft_set_flags(set) &&
	       attr_be32(attr_find(attrs, NFTA_SET_KEY_LEN)) == nft_set_key_bytes(set) &&
	       (set_has_verdicts(set) || data == nft_set_data_bytes(set)) &&
	       has_fields(set, attr_find(desc, NFTA_SET_DESC_CONCAT)) &&
	       (!expr.len || is_counter(expr)) && !attr_find(attrs, NFTA_SET_EXPRESSIONS).len &&
	       !attr_be32(attr_find(attrs, NFTA_SET_POLICY)) &&
	       !attr_find(attrs, NFTA_SET_OBJ_TYPE).len &&
	       !attr_find(attrs, NFTA_SET_TIMEOUT).len &&
	       !attr_find(attrs, NFTA_SET_GC_INTERVAL).len;
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
	if (is_ours(have) && !is_plain(set, attrs))
		note_odd(have, a, "set %s is of another kind", set->name);
	if (!is_ours(have) && flags & ~(uint32_t)(NFT_SET_MAP | NFT_SET_INTERVAL | NFT_SET_CONCAT))
		set->n_key = 0; /* some of its elements could not be decoded */
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
	bool jumps = code == NFT_GOTO || code == NFT_JUMP; /* we never create other verdicts */
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

struct element {
	struct attrs key, key_end, data;
	uint32_t flags;
	bool odd; /* It has a timeout, an expression other than a counter, or a reference to an
		     object. */
};

static struct element split_element(const struct set *set, struct attrs attrs)
{
	struct element e = {0};
	struct attrs value;
	uint16_t type;

	while (attr_next(&attrs, &type, &value))
		switch (type) {
		case NFTA_SET_ELEM_KEY:
			e.key = value;
			break;
		case NFTA_SET_ELEM_KEY_END:
			e.key_end = value;
			break;
		case NFTA_SET_ELEM_DATA:
			e.data = value;
			break;
		case NFTA_SET_ELEM_FLAGS:
			e.flags = attr_be32(value);
			break;
		case NFTA_SET_ELEM_EXPR:
			e.odd |= !set->counts || !is_counter(value);
			break;
		case NFTA_SET_ELEM_EXPRESSIONS:
		case NFTA_SET_ELEM_TIMEOUT:
		case NFTA_SET_ELEM_EXPIRATION:
		case NFTA_SET_ELEM_OBJREF:
			e.odd = true;
			break;
		default: /* comment, padding, or an attribute of a newer kernel */
			break;
		}
	return e;
}

/*
 * The kernel reports an interval of a single field as two elements. They are kept as (key, 1 for a
 * start, 0 for an end) until nft_decode_finish pairs them. Sorting puts an end before a start of
 * the same key.
 */
static bool decode_element(struct set *set, struct arena *a, struct arena *loose, struct element e)
{
	uint32_t key = set_key_len(set);
	uint8_t *record;

	if (set->n >= MAX_DUMPED)
		return false;
	record = set_add_read(set, loose);
	if (!put_value(record, key, e.key))
		return false;
	record += key;
	if (set->interval && set->n_key == 1)
		*record = !(e.flags & NFT_SET_ELEM_INTERVAL_END);
	else if (set->interval && !put_value(record, key, e.key_end))
		return false;
	if (set->interval)
		record += key;
	if (e.flags & NFT_SET_ELEM_INTERVAL_END)
		memset(record, 0, set_data_len(set));
	else if (set->n_data)
		return put_data(set, a, record, e.data);
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
	while (!have->odd && set->n_key && attr_next(&rest, &type, &element)) {
		struct element e = split_element(set, element);

		if (!(e.odd && is_ours(have)) && decode_element(set, a, loose, e))
			continue;
		note_odd(have, a, "set %s has an element of another kind", set->name);
		set->n_key = 0;
		set->n = 0;
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

		if (record[len]) { /* start of an interval */
			memcpy(last, record, len);
			memset(last + len, 0xff, width);
			memcpy(last + 2 * len, record + 2 * len, stride - 2 * len);
			open = true;
			continue;
		}
		if (!open)
			continue; /* the end of the space before the first interval */
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
		if (have->odd || !set->n_key) { /* it is not compared */
			set->elements = NULL;
			set->n = set->cap = 0;
			continue;
		}
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
	uint32_t flags = attr_be32(attr_find(attrs, NFTA_CHAIN_FLAGS));

	chain->name = keep_text(a, attr_find(attrs, NFTA_CHAIN_NAME));
	if (flags & ~(uint32_t)(hook.bytes ? NFT_CHAIN_BASE : 0) ||
	    attr_find(hook, NFTA_HOOK_DEV).len || attr_find(hook, NFTA_HOOK_DEVS).len)
		note_odd(have, a, "chain %s is of another kind", chain->name);
	if (!hook.bytes)
		return;
	chain->type = keep_text(a, attr_find(attrs, NFTA_CHAIN_TYPE));
	chain->hook = attr_be32(attr_find(hook, NFTA_HOOK_HOOKNUM));
	chain->priority = (int32_t)attr_be32(attr_find(hook, NFTA_HOOK_PRIORITY));
	chain->drops = attr_be32(attr_find(attrs, NFTA_CHAIN_POLICY)) == NF_DROP;
}

/* Returns NULL if the rule has no comment of ours. */
static const char *decode_comment(struct arena *a, struct attrs userdata)
{
	uint8_t type, len;

	if (!userdata.len)
		return NULL;
	type = userdata.len > 2 ? userdata.bytes[0] : UINT8_MAX;
	len = userdata.len > 2 ? userdata.bytes[1] : 0;
	if (type == 0 && len && len + 2u == userdata.len && userdata.bytes[1 + len] == '\0')
		return arena_strdup(a, (const char *)userdata.bytes + 2);
	return "(data of another program)";
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

/*
 * The dump reports sets and chains before elements and rules, so names are found in the sorted
 * lists.
 */
static void index_names(struct ruleset *have, struct arena *a)
{
	if (have->sets_by_name.n != have->sets.n || have->chains_by_name.n != have->chains.n)
		ruleset_index(have, a);
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
			decode_table(have, a, attrs);
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
	case NFT_MSG_NEWOBJ:
		if (is_asked_for(have, attrs, NFTA_OBJ_TABLE))
			note_odd(have, a, "there is an object %s",
				 attr_text(attr_find(attrs, NFTA_OBJ_NAME)));
		return true;
	case NFT_MSG_NEWFLOWTABLE:
		if (is_asked_for(have, attrs, NFTA_FLOWTABLE_TABLE))
			note_odd(have, a, "there is a flowtable %s",
				 attr_text(attr_find(attrs, NFTA_FLOWTABLE_NAME)));
		return true;
	default:
		return true;
	}
}
