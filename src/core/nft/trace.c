/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/nft/trace.h"

#include "core/nft/message.h"
#include "core/nft/nlattr.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

enum { MOST_STEPS = 4096 };

/* Offsets in an IP header. */
static const struct header {
	uint8_t len, id, proto, src, dst;
} headers[] = {[FAMILY_4] = {20, 4, 9, 12, 16}, [FAMILY_6] = {40, 2, 6, 8, 24}};

static const struct header *header_of(const struct probe *probe)
{
	return &headers[probe->family == 6 ? FAMILY_6 : FAMILY_4];
}

const char *const trace_verdicts[] = {
	[TRACE_CONTINUES] = "continue", [TRACE_ACCEPTS] = "accept", [TRACE_DROPS] = "drop",
	[TRACE_TAKEN] = "queue",	[TRACE_JUMPS] = "jump",	    [TRACE_GOES] = "goto",
	[TRACE_RETURNS] = "return",
};

uint32_t probe_token_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP: /* of the sequence number */
		return 4;
	case IPPROTO_UDP: /* of the first word of data, in an echo request too */
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 8;
	case IPPROTO_SCTP: /* of the initiate tag */
		return 16;
	default:
		return 0;
	}
}

/* --- our tables --- */

enum deed { LOOKS_ON, TRACES, ENDS };

/*
 * The kernel reports a packet at the end of each base chain. Our chains of the lowest and of the
 * highest priority stand before and after everybody else's; the last of them stands before
 * conntrack confirms the connection. Of chains with the same priority, the one that was added last
 * runs first.
 */
static const struct {
	const char *name;
	uint32_t hook;
	int32_t priority;
	enum deed deed;
	bool bridged; /* also in the table of family bridge */
	enum trace_place place;
} chains[] = {
	{"prerouting", NF_INET_PRE_ROUTING, INT32_MIN, TRACES, true, TRACE_ENTERED},
	{"output", NF_INET_LOCAL_OUT, INT32_MIN, TRACES, false, TRACE_ENTERED},
	{"prerouting-end", NF_INET_PRE_ROUTING, INT32_MAX, LOOKS_ON, false, TRACE_PREROUTED},
	{"input", NF_INET_LOCAL_IN, INT32_MIN, LOOKS_ON, false, TRACE_INPUT},
	{"forward", NF_INET_FORWARD, INT32_MIN, LOOKS_ON, false, TRACE_FORWARD},
	{"forward-end", NF_INET_FORWARD, INT32_MAX, LOOKS_ON, false, TRACE_FORWARDED},
	{"postrouting", NF_INET_POST_ROUTING, INT32_MIN, LOOKS_ON, false, TRACE_POSTROUTING},
	{"input-end", NF_INET_LOCAL_IN, INT32_MAX, ENDS, false, TRACE_RECEIVED},
	{"postrouting-end", NF_INET_POST_ROUTING, INT32_MAX, ENDS, true, TRACE_LEFT},
};

struct word {
	uint16_t attr;
	uint32_t value;
};

/* An expression made of numbers; value: what it compares with or loads, in attribute value_attr. */
static void expression(struct buf *b, const char *name, const struct word words[], size_t n,
		       uint16_t value_attr, const void *value, size_t len)
{
	size_t element = nla_begin(b, NFTA_LIST_ELEM), data, inner;

	nla_text(b, NFTA_EXPR_NAME, name);
	data = nla_begin(b, NFTA_EXPR_DATA);
	for (size_t i = 0; i < n; i++)
		nla_be32(b, words[i].attr, words[i].value);
	if (value) {
		inner = nla_begin(b, value_attr);
		nla_bytes(b, NFTA_DATA_VALUE, value, len);
		nla_end(b, inner);
	}
	nla_end(b, data);
	nla_end(b, element);
}

#define EXPRESSION(b, name, ...)                                                                   \
	expression(b, name, (const struct word[]){__VA_ARGS__},                                    \
		   COUNT_OF(((const struct word[]){__VA_ARGS__})), 0, NULL, 0)

static void is_equal(struct buf *b, const void *value, size_t len)
{
	const struct word words[] = {{NFTA_CMP_SREG, NFT_REG_1}, {NFTA_CMP_OP, NFT_CMP_EQ}};

	expression(b, "cmp", words, COUNT_OF(words), NFTA_CMP_DATA, value, len);
}

static void load_payload(struct buf *b, uint32_t base, uint32_t offset, uint32_t len)
{
	EXPRESSION(b, "payload", {NFTA_PAYLOAD_DREG, NFT_REG_1}, {NFTA_PAYLOAD_BASE, base},
		   {NFTA_PAYLOAD_OFFSET, offset}, {NFTA_PAYLOAD_LEN, len});
}

/* Matches our packet: its protocol, its IP id and its token. */
static void is_the_packet(struct buf *b, const struct probe *probe)
{
	const uint16_t id = htobe16(probe->id);
	const uint32_t token = htobe32(probe->token);

	EXPRESSION(b, "meta", {NFTA_META_KEY, NFT_META_L4PROTO}, {NFTA_META_DREG, NFT_REG_1});
	is_equal(b, &probe->proto, sizeof(probe->proto));
	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, header_of(probe)->id, sizeof(id));
	is_equal(b, &id, sizeof(id));
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, probe_token_offset(probe->proto),
		     sizeof(token));
	is_equal(b, &token, sizeof(token));
}

static void set_trace(struct buf *b)
{
	const struct word words[] = {{NFTA_IMMEDIATE_DREG, NFT_REG_1}};
	const uint8_t on = 1;

	expression(b, "immediate", words, COUNT_OF(words), NFTA_IMMEDIATE_DATA, &on, sizeof(on));
	EXPRESSION(b, "meta", {NFTA_META_KEY, NFT_META_NFTRACE}, {NFTA_META_SREG, NFT_REG_1});
}

static void drop(struct buf *b)
{
	size_t element = nla_begin(b, NFTA_LIST_ELEM), data, value, verdict;

	nla_text(b, NFTA_EXPR_NAME, "immediate");
	data = nla_begin(b, NFTA_EXPR_DATA);
	nla_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	value = nla_begin(b, NFTA_IMMEDIATE_DATA);
	verdict = nla_begin(b, NFTA_DATA_VERDICT);
	nla_be32(b, NFTA_VERDICT_CODE, NF_DROP);
	nla_end(b, verdict);
	nla_end(b, value);
	nla_end(b, data);
	nla_end(b, element);
}

static void add_chain(struct nft_batch *batch, struct arena *a, const struct probe *probe, size_t i)
{
	AUTO_BUF struct buf exprs = {0};
	const struct chain chain = {.name = chains[i].name,
				    .type = "filter",
				    .hook = chains[i].hook,
				    .priority = chains[i].priority};
	struct rule rule = {.origin = NONE};

	nft_add_chain(batch, a, &chain);
	if (chains[i].deed == LOOKS_ON)
		return;
	is_the_packet(&exprs, probe);
	if (chains[i].deed == TRACES)
		set_trace(&exprs);
	else
		drop(&exprs);
	rule.exprs = exprs.data;
	rule.exprs_len = (uint32_t)exprs.len;
	nft_add_rule(batch, a, &chain, &rule, NFT_AT_END);
}

void trace_watch(struct nft_batch *batch, struct arena *a, const struct probe *probe, bool bridged)
{
	nft_batch_begin(batch, a, 1);
	batch->table = probe->table;
	nft_add_own_table(batch, a);
	for (size_t i = 0; i < COUNT_OF(chains); i++)
		add_chain(batch, a, probe, i);
	batch->family = NFPROTO_BRIDGE;
	if (bridged)
		nft_add_own_table(batch, a);
	for (size_t i = 0; bridged && i < COUNT_OF(chains); i++)
		if (chains[i].bridged)
			add_chain(batch, a, probe, i);
	nft_batch_end(batch, a);
}

/* --- the kernel's messages --- */

static enum trace_verdict verdict_of(uint32_t word)
{
	static const struct {
		int32_t code;
		enum trace_verdict verdict;
	} known[] = {{NFT_CONTINUE, TRACE_CONTINUES},
		     {NFT_BREAK, TRACE_CONTINUES},
		     {NFT_JUMP, TRACE_JUMPS},
		     {NFT_GOTO, TRACE_GOES},
		     {NFT_RETURN, TRACE_RETURNS}};
	int32_t code = (int32_t)word;

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (known[i].code == code)
			return known[i].verdict;
	switch (word & NF_VERDICT_MASK) {
	case NF_DROP:
		return TRACE_DROPS;
	case NF_ACCEPT:
		return TRACE_ACCEPTS;
	default:
		return TRACE_TAKEN;
	}
}

static struct ip ip_at(struct attrs header, size_t offset, uint8_t family)
{
	struct ip ip = {.family = family};

	memcpy(ip.bytes, header.bytes + offset, ip_bits(ip) / 8);
	return ip;
}

static uint16_t be16_at(struct attrs header, size_t offset)
{
	return (uint16_t)(header.bytes[offset] << 8 | header.bytes[offset + 1]);
}

static bool is_known_id(const struct trace *t, uint32_t id)
{
	list_each (known, &t->ids)
		if (*known == id)
			return true;
	return false;
}

/* Only the first message of a base chain has the packet's headers. */
static bool is_about_it(struct trace *t, struct arena *a, const struct probe *probe,
			struct attrs attrs)
{
	struct attrs ip = attr_find(attrs, NFTA_TRACE_NETWORK_HEADER);
	struct attrs transport = attr_find(attrs, NFTA_TRACE_TRANSPORT_HEADER);
	uint32_t id = attr_be32(attr_find(attrs, NFTA_TRACE_ID));
	const struct header *header = header_of(probe);
	size_t at = probe_token_offset(probe->proto);
	uint32_t token;

	if (!ip.bytes || !transport.bytes)
		return is_known_id(t, id);
	if (ip.len < header->len || transport.len < at + sizeof(token) ||
	    ip.bytes[0] >> 4 != probe->family || ip.bytes[header->proto] != probe->proto ||
	    be16_at(ip, header->id) != probe->id)
		return false;
	memcpy(&token, transport.bytes + at, sizeof(token));
	if (token != htobe32(probe->token))
		return false;
	if (!is_known_id(t, id) && t->ids.n < MOST_STEPS)
		*list_add(a, &t->ids) = id;
	t->src = ip_at(ip, header->src, probe->family);
	t->dst = ip_at(ip, header->dst, probe->family);
	t->port = protocol_has_ports(probe->proto) ? be16_at(transport, 2) : 0;
	return true;
}

static void note_place(struct trace *t, struct attrs attrs, uint8_t family)
{
	const char *chain = attr_text(attr_find(attrs, NFTA_TRACE_CHAIN));
	uint32_t in = attr_be32(attr_find(attrs, NFTA_TRACE_IIF));
	uint32_t out = attr_be32(attr_find(attrs, NFTA_TRACE_OIF));

	for (size_t i = 0; i < COUNT_OF(chains); i++)
		if (!strcmp(chains[i].name, chain))
			t->place = chains[i].place;
	if (family == NFPROTO_INET &&
	    in) /* in a hook of the bridge family, the interface is a port of the bridge */
		t->in = in;
	t->out = out ? out : t->out;
}

static void note_step(struct trace *t, struct arena *a, struct attrs attrs, uint8_t family)
{
	struct attrs verdict = attr_find(attrs, NFTA_TRACE_VERDICT);
	uint32_t type = attr_be32(attr_find(attrs, NFTA_TRACE_TYPE));
	uint32_t code = type == NFT_TRACETYPE_POLICY
				? attr_be32(attr_find(attrs, NFTA_TRACE_POLICY))
				: attr_be32(attr_find(verdict, NFTA_VERDICT_CODE));
	struct trace_step step = {
		.family = family,
		.table = arena_strdup(a, attr_text(attr_find(attrs, NFTA_TRACE_TABLE))),
		.chain = arena_strdup(a, attr_text(attr_find(attrs, NFTA_TRACE_CHAIN))),
		.handle = attr_be64(attr_find(attrs, NFTA_TRACE_RULE_HANDLE)),
		.verdict = verdict_of(code)};

	/* reaching the end of a chain that was jumped to is not a rule */
	if ((type != NFT_TRACETYPE_POLICY && !step.handle) || t->steps.n == MOST_STEPS)
		return;
	if (step.verdict == TRACE_JUMPS || step.verdict == TRACE_GOES)
		step.to = arena_strdup(a, attr_text(attr_find(verdict, NFTA_VERDICT_CHAIN)));
	*list_add(a, &t->steps) = step;
}

void trace_take(struct trace *t, struct arena *a, const struct probe *probe, const void *nlmsg)
{
	const struct nlmsghdr *message = nlmsg;
	const struct nfgenmsg *head = NLMSG_DATA(message);
	struct attrs attrs = nlmsg_attrs(message);

	if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE) || !attrs.bytes ||
	    !is_about_it(t, a, probe, attrs))
		return;
	if (!strcmp(attr_text(attr_find(attrs, NFTA_TRACE_TABLE)), probe->table))
		note_place(t, attrs, head->nfgen_family);
	else
		note_step(t, a, attrs, head->nfgen_family);
}

const struct trace_step *trace_end(const struct trace *t)
{
	const struct trace_step *last = t->steps.n ? &t->steps.items[t->steps.n - 1] : NULL;

	if (!last || t->place >= TRACE_RECEIVED)
		return NULL;
	return last->verdict == TRACE_DROPS || last->verdict == TRACE_TAKEN ? last : NULL;
}

bool trace_is_over(const struct trace *t)
{
	const struct trace_step *end = trace_end(t);

	return t->place >= TRACE_RECEIVED || (end && end->verdict == TRACE_DROPS);
}

bool trace_is_waiting(const struct trace *t)
{
	const struct trace_step *end = trace_end(t);

	return t->place == TRACE_NOWHERE || (end && end->verdict == TRACE_TAKEN);
}
