/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/nft/message.h"

#include "core/nft/nlattr.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

/* An attribute has a 16-bit length. More elements than this are split over several messages. */
enum { MAX_MESSAGE = 60000 };

/* NFTA_RULE_USERDATA is a list of (type, length, bytes). Type 0 is nft's comment. */
enum { USERDATA_COMMENT = 0, USERDATA_MAX = 250 };

/*
 * In NFTA_SET_USERDATA: nft's type number for the byte order of a key, and its value for host
 * order.
 */
enum { SET_KEY_BYTE_ORDER = 0, HOST_BYTE_ORDER = 1 };

static size_t message_begin(struct nft_batch *batch, struct arena *a, uint8_t type, uint16_t flags,
			    uint32_t origin)
{
	uint32_t seq = batch->seq0 + batch->n_messages;

	batch->n_messages++;
	*list_add(a, &batch->origins) = origin;
	batch->last = nlmsg_begin(&batch->bytes, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
				  (uint16_t)(NLM_F_REQUEST | flags), seq, batch->family, 0);
	return batch->last;
}

static void message_end(struct nft_batch *batch, size_t message)
{
	nlmsg_end(&batch->bytes, message);
}

void nft_batch_begin(struct nft_batch *batch, struct arena *a, uint32_t seq0)
{
	size_t message;

	*batch = (struct nft_batch){
		.seq0 = seq0, .n_messages = 1, .family = NFPROTO_INET, .table = TABLE_NAME};
	*list_add(a, &batch->origins) = NONE;
	message = nlmsg_begin(&batch->bytes, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, seq0,
			      NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
	message_end(batch, message);
}

void nft_batch_other_family(struct nft_batch *batch, uint8_t family)
{
	batch->family = family;
	batch->other = batch->n_messages;
}

static void ask_for_ack(struct nft_batch *batch)
{
	struct nlmsghdr last;

	memcpy(&last, batch->bytes.data + batch->last, sizeof(last));
	last.nlmsg_flags |= NLM_F_ACK;
	memcpy(batch->bytes.data + batch->last, &last, sizeof(last));
}

void nft_batch_end(struct nft_batch *batch, struct arena *a)
{
	size_t message;

	if (batch->last)
		ask_for_ack(batch);
	*list_add(a, &batch->origins) = NONE;
	message =
		nlmsg_begin(&batch->bytes, NFNL_MSG_BATCH_END, NLM_F_REQUEST,
			    batch->seq0 + batch->n_messages, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
	message_end(batch, message);
	batch->n_messages++;
}

bool nft_batch_is_empty(const struct nft_batch *batch)
{
	return batch->n_messages <= 2; /* begin and end */
}

/* --- the table --- */

static void add_table(struct nft_batch *batch, struct arena *a, uint32_t flags)
{
	size_t message = message_begin(batch, a, NFT_MSG_NEWTABLE, NLM_F_CREATE, NONE);

	nla_text(&batch->bytes, NFTA_TABLE_NAME, batch->table);
	if (flags)
		nla_be32(&batch->bytes, NFTA_TABLE_FLAGS, flags);
	message_end(batch, message);
}

void nft_add_table(struct nft_batch *batch, struct arena *a)
{
	add_table(batch, a, 0);
}

void nft_add_own_table(struct nft_batch *batch, struct arena *a)
{
	add_table(batch, a, NFT_TABLE_F_OWNER);
}

void nft_delete_table(struct nft_batch *batch, struct arena *a)
{
	size_t message = message_begin(batch, a, NFT_MSG_DELTABLE, 0, NONE);

	nla_text(&batch->bytes, NFTA_TABLE_NAME, batch->table);
	message_end(batch, message);
}

/* --- sets --- */

static uint32_t type_of(const enum field *fields, uint8_t n)
{
	uint32_t type = 0;

	for (uint8_t i = 0; i < n; i++)
		type = type << 6 | field_types[fields[i]].id;
	return type;
}

/* A single field keeps its own length. In a concatenation every field is padded to 4 bytes. */
uint32_t nft_set_key_bytes(const struct set *set)
{
	return set->n_key == 1 ? field_types[set->key[0]].len : set_key_len(set);
}

uint32_t nft_set_data_bytes(const struct set *set)
{
	return set->n_data == 1 ? field_types[set->data[0]].len : set_data_len(set);
}

uint32_t nft_set_flags(const struct set *set)
{
	uint32_t flags = set->interval ? NFT_SET_INTERVAL : 0;

	flags |= set->interval && set->n_key > 1 ? NFT_SET_CONCAT : 0;
	return flags | (set->n_data ? NFT_SET_MAP : 0);
}

static void describe_set(struct buf *b, const struct set *set)
{
	size_t desc = nla_begin(b, NFTA_SET_DESC), concat;

	if (set->size)
		nla_be32(b, NFTA_SET_DESC_SIZE, set->size);
	if (set->interval && set->n_key > 1) {
		concat = nla_begin(b, NFTA_SET_DESC_CONCAT);
		for (uint8_t i = 0; i < set->n_key; i++) {
			size_t field = nla_begin(b, NFTA_LIST_ELEM);

			nla_be32(b, NFTA_SET_FIELD_LEN, field_types[set->key[i]].len);
			nla_end(b, field);
		}
		nla_end(b, concat);
	}
	nla_end(b, desc);
}

/*
 * Only nft reads this, to print the name of a single interface. Without it nft 1.0.6 lists "", and
 * a saved list closes nothing when it is loaded again.
 */
static void tell_byte_order(struct buf *b, const struct set *set)
{
	const uint32_t order = HOST_BYTE_ORDER;
	uint8_t userdata[2 + sizeof(order)] = {SET_KEY_BYTE_ORDER, sizeof(order)};

	if (set->n_key != 1 || set->key[0] != FIELD_IFNAME)
		return;
	memcpy(userdata + 2, &order, sizeof(order));
	nla_bytes(b, NFTA_SET_USERDATA, userdata, sizeof(userdata));
}

void nft_add_set(struct nft_batch *batch, struct arena *a, const struct set *set, uint32_t id)
{
	struct buf *b = &batch->bytes;
	size_t message = message_begin(batch, a, NFT_MSG_NEWSET, NLM_F_CREATE, NONE);

	nla_text(b, NFTA_SET_TABLE, batch->table);
	nla_text(b, NFTA_SET_NAME, set->name);
	nla_be32(b, NFTA_SET_FLAGS, nft_set_flags(set));
	nla_be32(b, NFTA_SET_KEY_TYPE, type_of(set->key, set->n_key));
	nla_be32(b, NFTA_SET_KEY_LEN, nft_set_key_bytes(set));
	if (set_has_verdicts(set)) {
		nla_be32(b, NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
	} else if (set->n_data) {
		nla_be32(b, NFTA_SET_DATA_TYPE, type_of(set->data, set->n_data));
		nla_be32(b, NFTA_SET_DATA_LEN, nft_set_data_bytes(set));
	}
	nla_be32(b, NFTA_SET_ID, id);
	describe_set(b, set);
	tell_byte_order(b, set);
	if (set->counts) { /* the kernel creates a counter for every element */
		size_t counter = nla_begin(b, NFTA_SET_EXPR);

		nla_text(b, NFTA_EXPR_NAME, "counter");
		nla_end(b, counter);
	}
	message_end(batch, message);
}

static void set_message(struct nft_batch *batch, struct arena *a, uint8_t type, const char *name)
{
	size_t message = message_begin(batch, a, type, 0, NONE);
	bool elements = type == NFT_MSG_DELSETELEM;

	nla_text(&batch->bytes, elements ? NFTA_SET_ELEM_LIST_TABLE : NFTA_SET_TABLE, batch->table);
	nla_text(&batch->bytes, elements ? NFTA_SET_ELEM_LIST_SET : NFTA_SET_NAME, name);
	message_end(batch, message);
}

void nft_delete_set(struct nft_batch *batch, struct arena *a, const struct set *set)
{
	set_message(batch, a, NFT_MSG_DELSET, set->name);
}

/* --- elements --- */

static void element_part(struct buf *b, uint16_t type, const uint8_t *bytes, uint32_t len)
{
	size_t part = nla_begin(b, type);

	nla_bytes(b, NFTA_DATA_VALUE, bytes, len);
	nla_end(b, part);
}

static void verdict_part(struct buf *b, const struct set *set, const uint8_t *data)
{
	const struct verdict *verdict;
	size_t part = nla_begin(b, NFTA_SET_ELEM_DATA), inner;
	uint64_t id;

	memcpy(&id, data, sizeof(id));
	verdict = set_find_verdict(set, id);
	inner = nla_begin(b, NFTA_DATA_VERDICT);
	nla_be32(b, NFTA_VERDICT_CODE, (uint32_t)(verdict->go ? NFT_GOTO : NFT_JUMP));
	nla_text(b, NFTA_VERDICT_CHAIN, verdict->chain);
	nla_end(b, inner);
	nla_end(b, part);
}

static void data_part(struct buf *b, const struct set *set, uint32_t i)
{
	const uint8_t *data = set_element(set, i) + set_stride(set) - set_data_len(set);

	if (set_has_verdicts(set))
		verdict_part(b, set, data);
	else
		element_part(b, NFTA_SET_ELEM_DATA, data, nft_set_data_bytes(set));
}

static void end_mark(struct buf *b, const uint8_t *key, uint32_t len)
{
	size_t element = nla_begin(b, NFTA_LIST_ELEM);

	element_part(b, NFTA_SET_ELEM_KEY, key, len);
	nla_be32(b, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	nla_end(b, element);
}

/* An interval of a single field is two elements: its start, and the first key after its end. */
static void tree_interval(struct buf *b, const struct set *set, uint32_t i, bool with_data)
{
	const uint8_t *low = set_element(set, i);
	uint32_t len = nft_set_key_bytes(set), at = len;
	uint8_t behind[16], nothing[16] = {0};
	size_t element;

	if (i == 0 && memcmp(low, nothing, len) != 0)
		end_mark(b, nothing,
			 len); /* as nft does: mark the space before the first interval as an end */
	element = nla_begin(b, NFTA_LIST_ELEM);
	element_part(b, NFTA_SET_ELEM_KEY, low, len);
	if (set->n_data && with_data)
		data_part(b, set, i);
	nla_end(b, element);
	memcpy(behind, low + set_key_len(set), len);
	while (at && ++behind[at - 1] == 0)
		at--;
	if (at)
		end_mark(b, behind, len);
}

static void one_element(struct buf *b, const struct set *set, uint32_t i, bool with_data)
{
	const uint8_t *record = set_element(set, i);
	uint32_t len = set_key_len(set);
	size_t element;

	if (set->interval && set->n_key == 1) {
		tree_interval(b, set, i, with_data);
		return;
	}
	element = nla_begin(b, NFTA_LIST_ELEM);
	element_part(b, NFTA_SET_ELEM_KEY, record, nft_set_key_bytes(set));
	if (set->interval)
		element_part(b, NFTA_SET_ELEM_KEY_END, record + len, len);
	if (set->n_data && with_data)
		data_part(b, set, i);
	nla_end(b, element);
}

static void elements(struct nft_batch *batch, struct arena *a, uint8_t type, uint16_t flags,
		     const struct set *set, const uint8_t *picked)
{
	struct buf *b = &batch->bytes;
	bool add = type == NFT_MSG_NEWSETELEM;

	for (uint32_t i = 0; i < set->n;) {
		uint32_t origin;
		size_t message, list;

		if (picked && !picked[i]) {
			i++;
			continue;
		}
		origin = set->origins ? set->origins[i] : NONE;
		message = message_begin(batch, a, type, flags, origin);
		nla_text(b, NFTA_SET_ELEM_LIST_TABLE, batch->table);
		nla_text(b, NFTA_SET_ELEM_LIST_SET, set->name);
		list = nla_begin(b, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (; i < set->n && b->len - list < MAX_MESSAGE; i++)
			if (!picked || picked[i])
				one_element(b, set, i, add);
		nla_end(b, list);
		message_end(batch, message);
	}
}

void nft_add_elements(struct nft_batch *batch, struct arena *a, const struct set *set,
		      const uint8_t *picked)
{
	elements(batch, a, NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, picked);
}

void nft_delete_elements(struct nft_batch *batch, struct arena *a, const struct set *set,
			 const uint8_t *picked)
{
	elements(batch, a, NFT_MSG_DELSETELEM, 0, set, picked);
}

/* --- chains and rules --- */

void nft_add_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain)
{
	struct buf *b = &batch->bytes;
	size_t message = message_begin(batch, a, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NONE), hook;

	nla_text(b, NFTA_CHAIN_TABLE, batch->table);
	nla_text(b, NFTA_CHAIN_NAME, chain->name);
	if (chain->type) {
		hook = nla_begin(b, NFTA_CHAIN_HOOK);
		nla_be32(b, NFTA_HOOK_HOOKNUM, chain->hook);
		nla_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)chain->priority);
		nla_end(b, hook);
		nla_be32(b, NFTA_CHAIN_POLICY, chain->drops ? NF_DROP : NF_ACCEPT);
		nla_text(b, NFTA_CHAIN_TYPE, chain->type);
	}
	message_end(batch, message);
}

void nft_flush_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain)
{
	size_t message = message_begin(batch, a, NFT_MSG_DELRULE, 0, NONE);

	nla_text(&batch->bytes, NFTA_RULE_TABLE, batch->table);
	nla_text(&batch->bytes, NFTA_RULE_CHAIN, chain->name);
	message_end(batch, message);
}

void nft_delete_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain)
{
	size_t message = message_begin(batch, a, NFT_MSG_DELCHAIN, 0, NONE);

	nla_text(&batch->bytes, NFTA_CHAIN_TABLE, batch->table);
	nla_text(&batch->bytes, NFTA_CHAIN_NAME, chain->name);
	message_end(batch, message);
}

static void comment(struct buf *b, const char *text)
{
	uint8_t userdata[2 + USERDATA_MAX];
	size_t len = strnlen(text, USERDATA_MAX - 1);

	userdata[0] = USERDATA_COMMENT;
	userdata[1] = (uint8_t)(len + 1);
	memcpy(userdata + 2, text, len);
	userdata[2 + len] = '\0';
	nla_bytes(b, NFTA_RULE_USERDATA, userdata, len + 3);
}

void nft_add_rule(struct nft_batch *batch, struct arena *a, const struct chain *chain,
		  const struct rule *rule, uint64_t before)
{
	struct buf *b = &batch->bytes;
	uint16_t flags = before == NFT_AT_END ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE;
	size_t message = message_begin(batch, a, NFT_MSG_NEWRULE, flags, rule->origin);

	nla_text(b, NFTA_RULE_TABLE, batch->table);
	nla_text(b, NFTA_RULE_CHAIN, chain->name);
	if (before != NFT_AT_END && before != NFT_AT_TOP)
		nla_be64(b, NFTA_RULE_POSITION, before);
	nla_bytes(b, NFTA_RULE_EXPRESSIONS, rule->exprs, rule->exprs_len);
	if (rule->comment)
		comment(b, rule->comment);
	message_end(batch, message);
}

void nft_delete_rule(struct nft_batch *batch, struct arena *a, const struct chain *chain,
		     const struct rule *rule)
{
	size_t message = message_begin(batch, a, NFT_MSG_DELRULE, 0, NONE);

	nla_text(&batch->bytes, NFTA_RULE_TABLE, batch->table);
	nla_text(&batch->bytes, NFTA_RULE_CHAIN, chain->name);
	nla_be64(&batch->bytes, NFTA_RULE_HANDLE, rule->handle);
	message_end(batch, message);
}
