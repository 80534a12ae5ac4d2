/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions of nf_tables (linux/netfilter/nf_tables.h), in the order in which they run: something
 * is loaded into a register, perhaps masked, and compared. iptables-nft writes addresses,
 * interfaces, protocols and marks so, and what it has no expressions for as matches of x_tables.
 */
#include "core/foreign/plain_nft.h"
#include "core/foreign/foreign.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <net/if.h>
#include <string.h>

/* What was loaded last. */
enum loaded {
	NOTHING,
	SOMETHING, /* that is not understood */
	IN_NAME,
	OUT_NAME,
	FAMILY,
	PROTO,
	SRC,
	DST,
	SPORT,
	DPORT,
	TCP_FLAGS,
	STATE,
	STATUS,
	MARK,
	CT_MARK,
};

struct reading {
	struct plain *p;
	struct arena *a;
	enum loaded loaded;
	uint32_t len;	  /* bytes of it */
	uint8_t mask[16]; /* all ones where there was no bitwise */
	bool masked;
};

static void load(struct reading *r, enum loaded what, uint32_t len)
{
	r->loaded = what;
	r->len = len;
	r->masked = false;
	memset(r->mask, 0xff, sizeof(r->mask));
}

/* --- loads --- */

static void take_meta(struct reading *r, struct attrs data)
{
	static const enum loaded keys[] = {
		[NFT_META_IIFNAME] = IN_NAME, [NFT_META_OIFNAME] = OUT_NAME,
		[NFT_META_NFPROTO] = FAMILY,  [NFT_META_L4PROTO] = PROTO,
		[NFT_META_MARK] = MARK,
	};
	uint32_t key = attr_be32(attr_find(data, NFTA_META_KEY));
	enum loaded what = key < COUNT_OF(keys) ? keys[key] : NOTHING;

	if (attr_find(data, NFTA_META_SREG).bytes) /* it sets something */
		return;
	load(r, what == NOTHING ? SOMETHING : what, what == MARK ? 4 : 16);
}

/* Rules of a table for both families say which one they mean before they look into its header. */
static uint8_t family_of(const struct reading *r)
{
	return r->p->family ? r->p->family : 4;
}

static void take_payload(struct reading *r, struct attrs data)
{
	static const struct {
		uint8_t family; /* of the packet; 0: whatever it is */
		uint32_t base, offset, most;
		enum loaded what;
	} places[] = {
		{4, NFT_PAYLOAD_NETWORK_HEADER, 9, 1, PROTO},
		{4, NFT_PAYLOAD_NETWORK_HEADER, 12, 4, SRC},
		{4, NFT_PAYLOAD_NETWORK_HEADER, 16, 4, DST},
		{6, NFT_PAYLOAD_NETWORK_HEADER, 6, 1, PROTO},
		{6, NFT_PAYLOAD_NETWORK_HEADER, 8, 16, SRC},
		{6, NFT_PAYLOAD_NETWORK_HEADER, 24, 16, DST},
		{0, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, SPORT},
		{0, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, DPORT},
		{0, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, TCP_FLAGS},
	};
	uint32_t base = attr_be32(attr_find(data, NFTA_PAYLOAD_BASE));
	uint32_t offset = attr_be32(attr_find(data, NFTA_PAYLOAD_OFFSET));
	uint32_t len = attr_be32(attr_find(data, NFTA_PAYLOAD_LEN));

	load(r, SOMETHING, 0);
	for (size_t i = 0; i < COUNT_OF(places); i++)
		if ((!places[i].family || places[i].family == family_of(r)) &&
		    places[i].base == base && places[i].offset == offset && len &&
		    len <= places[i].most)
			load(r, places[i].what, len);
}

static void take_ct(struct reading *r, struct attrs data)
{
	uint32_t key = attr_be32(attr_find(data, NFTA_CT_KEY));

	if (attr_find(data, NFTA_CT_SREG).bytes)
		return;
	load(r,
	     key == NFT_CT_STATE    ? STATE
	     : key == NFT_CT_STATUS ? STATUS
	     : key == NFT_CT_MARK   ? CT_MARK
				    : SOMETHING,
	     4);
}

/* reg = (reg & mask) ^ xor; with xor it is no test of bits any more. */
static void take_bitwise(struct reading *r, struct attrs data)
{
	struct attrs mask = attr_find(attr_find(data, NFTA_BITWISE_MASK), NFTA_DATA_VALUE);
	struct attrs xor = attr_find(attr_find(data, NFTA_BITWISE_XOR), NFTA_DATA_VALUE);
	bool plain = attr_be32(attr_find(data, NFTA_BITWISE_OP)) == NFT_BITWISE_BOOL && mask.len &&
		     mask.len <= sizeof(r->mask);

	for (size_t i = 0; plain && i < xor.len; i++)
		plain = !xor.bytes[i];
	if (!plain) {
		load(r, SOMETHING, 0);
		return;
	}
	memcpy(r->mask, mask.bytes, mask.len);
	r->masked = true;
}

/* --- comparisons; false: not understood --- */

static bool compare_name(struct reading *r, struct attrs value, bool equal)
{
	char name[IFNAMSIZ + 1] = {0};
	const char *text;

	if (r->masked || !value.len || value.len > IFNAMSIZ)
		return false;
	memcpy(name, value.bytes, value.len);
	/* without its NUL it is the beginning of many names */
	text = memchr(value.bytes, '\0', value.len) || value.len == IFNAMSIZ
		       ? arena_strdup(r->a, name)
		       : arena_printf(r->a, "%s+", name);
	*(r->loaded == IN_NAME ? &r->p->in : &r->p->out) = text;
	r->p->nots |= equal ? 0 : r->loaded == IN_NAME ? NOT_IN : NOT_OUT;
	return true;
}

/* The bits of a mask that stand at its beginning; false: they do not. */
static bool mask_len(const uint8_t *mask, uint32_t len, uint8_t *bits)
{
	uint32_t n = 0;

	while (n < len * 8 && mask[n / 8] & 0x80u >> n % 8)
		n++;
	*bits = (uint8_t)n;
	for (; n < len * 8; n++)
		if (mask[n / 8] & 0x80u >> n % 8)
			return false;
	return true;
}

static bool compare_address(struct reading *r, struct attrs value, bool equal)
{
	struct prefix *prefix = r->loaded == SRC ? &r->p->src : &r->p->dst;
	struct prefix said = {.ip.family = family_of(r)};

	if (value.len != r->len || value.len * 8 > ip_bits(said.ip) || prefix->ip.family ||
	    !mask_len(r->mask, r->len, &said.len))
		return false;
	memcpy(said.ip.bytes, value.bytes, value.len);
	*prefix = said;
	r->p->nots |= equal ? 0 : r->loaded == SRC ? NOT_SRC : NOT_DST;
	return true;
}

static bool compare_proto(struct reading *r, struct attrs value, bool equal)
{
	if (!value.len || r->masked || r->p->proto)
		return false;
	r->p->proto = value.bytes[0];
	r->p->nots |= equal ? 0 : NOT_PROTO;
	return true;
}

static uint8_t family_of_nfproto(uint8_t nfproto)
{
	return nfproto == NFPROTO_IPV4 ? 4 : nfproto == NFPROTO_IPV6 ? 6 : 0;
}

/* What is not of one family is of the other one. */
static bool compare_family(struct reading *r, struct attrs value, bool equal)
{
	uint8_t said = value.len ? family_of_nfproto(value.bytes[0]) : 0;

	if (!said || r->masked)
		return false;
	if (!equal)
		said = said == 4 ? 6 : 4;
	r->p->never |= r->p->family && r->p->family != said;
	r->p->family = said;
	return true;
}

static uint16_t port_of(struct attrs value)
{
	uint16_t port = 0;

	if (value.len >= sizeof(port))
		memcpy(&port, value.bytes, sizeof(port));
	return __builtin_bswap16(port);
}

/* One port; or, one after the other, the two ends of a range, as nft 1.0.6 writes it. */
static bool compare_port(struct reading *r, struct attrs value, uint32_t op)
{
	struct plain *p = r->p;
	uint16_t port = port_of(value);

	if (r->masked || r->loaded != DPORT)
		return false;
	if (op == NFT_CMP_LTE && p->n_dports == 1 && p->dports[0].high == UINT16_MAX) {
		p->dports[0].high = port;
		return true;
	}
	if (p->n_dports)
		return false;
	p->nots |= op == NFT_CMP_NEQ ? NOT_DPORT : 0;
	if (op == NFT_CMP_GTE)
		return plain_add_span(p, port, UINT16_MAX);
	if (op == NFT_CMP_LTE)
		return plain_add_span(p, 0, port);
	return (op == NFT_CMP_EQ || op == NFT_CMP_NEQ) && plain_add_span(p, port, port);
}

static uint32_t word_of(const void *bytes)
{
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* "ct state new,established" is: some of these bits are set. */
static bool compare_bits(struct reading *r, struct attrs value, bool equal)
{
	uint32_t bits = word_of(r->mask);
	struct plain *p = r->p;

	if (value.len != 4 || equal || word_of(value.bytes) || p->states)
		return false;
	p->states = (uint16_t)(r->loaded == STATE ? bits : bits == IPS_DST_NAT ? STATE_DNAT : 0);
	return p->states;
}

static bool compare_mark(struct reading *r, struct attrs value, bool equal)
{
	uint32_t *mark = r->loaded == MARK ? &r->p->mark : &r->p->ct_mark;
	uint32_t *mask = r->loaded == MARK ? &r->p->mark_mask : &r->p->ct_mark_mask;

	if (value.len != 4 || !equal || *mask)
		return false;
	*mark = word_of(value.bytes);
	*mask = word_of(r->mask);
	return true;
}

/* --syn */
static bool compare_flags(struct reading *r, struct attrs value, bool equal)
{
	enum { FIN_SYN_RST_ACK = 0x17, SYN = 0x02 };

	r->p->first_only =
		equal && value.len && value.bytes[0] == SYN && r->mask[0] == FIN_SYN_RST_ACK;
	return r->p->first_only;
}

static bool compare(struct reading *r, struct attrs data)
{
	struct attrs value = attr_find(attr_find(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);
	uint32_t op = attr_be32(attr_find(data, NFTA_CMP_OP));
	bool equal = op == NFT_CMP_EQ;

	if (r->loaded == DPORT || r->loaded == SPORT)
		return compare_port(r, value, op);
	if (!equal && op != NFT_CMP_NEQ)
		return false;
	switch (r->loaded) {
	case IN_NAME:
	case OUT_NAME:
		return compare_name(r, value, equal);
	case FAMILY:
		return compare_family(r, value, equal);
	case PROTO:
		return compare_proto(r, value, equal);
	case SRC:
	case DST:
		return compare_address(r, value, equal);
	case TCP_FLAGS:
		return compare_flags(r, value, equal);
	case STATE:
	case STATUS:
		return compare_bits(r, value, equal);
	case MARK:
	case CT_MARK:
		return compare_mark(r, value, equal);
	case NOTHING:
	case SOMETHING:
	case SPORT:
	case DPORT:
		break;
	}
	return false;
}

/* Of destination ports, which is how iptables-nft says "--dport 80:90". */
static bool take_range(struct reading *r, struct attrs data)
{
	struct attrs from = attr_find(attr_find(data, NFTA_RANGE_FROM_DATA), NFTA_DATA_VALUE);
	struct attrs to = attr_find(attr_find(data, NFTA_RANGE_TO_DATA), NFTA_DATA_VALUE);
	uint32_t op = attr_be32(attr_find(data, NFTA_RANGE_OP));

	if (r->loaded != DPORT || r->masked || r->p->n_dports)
		return false;
	r->p->nots |= op == NFT_RANGE_NEQ ? NOT_DPORT : 0;
	return plain_add_span(r->p, port_of(from), port_of(to));
}

/* --- verdicts --- */

static void take_immediate(struct reading *r, struct attrs data)
{
	static const struct {
		uint32_t code;
		const char *name;
	} verdicts[] = {{NF_ACCEPT, "ACCEPT"}, {NF_DROP, "DROP"}, {(uint32_t)NFT_RETURN, "RETURN"}};
	struct attrs verdict = attr_find(attr_find(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);
	uint32_t code = attr_be32(attr_find(verdict, NFTA_VERDICT_CODE));

	if (!verdict.bytes)
		return;
	for (size_t i = 0; i < COUNT_OF(verdicts); i++)
		if (verdicts[i].code == code)
			r->p->target = verdicts[i].name;
	r->p->goes = code == (uint32_t)NFT_GOTO;
	if (r->p->goes || code == (uint32_t)NFT_JUMP)
		r->p->target =
			arena_strdup(r->a, attr_text(attr_find(verdict, NFTA_VERDICT_CHAIN)));
}

/* Extensions of x_tables: REJECT ends, all others are taken to go on. */
static void take_target(struct reading *r, struct attrs data)
{
	if (!strcmp(attr_text(attr_find(data, NFTA_TARGET_NAME)), "REJECT"))
		r->p->target = "REJECT";
}

/* A verdict map may say anything. */
static bool take_lookup(struct reading *r, struct attrs data)
{
	if (attr_be32(attr_find(data, NFTA_LOOKUP_DREG)) == NFT_REG_VERDICT &&
	    attr_find(data, NFTA_LOOKUP_DREG).bytes)
		r->p->target = ANYTHING;
	return false;
}

static void take(struct reading *r, const char *name, struct attrs data)
{
	bool understood = true;

	if (!strcmp(name, "meta"))
		take_meta(r, data);
	else if (!strcmp(name, "payload"))
		take_payload(r, data);
	else if (!strcmp(name, "ct"))
		take_ct(r, data);
	else if (!strcmp(name, "bitwise"))
		take_bitwise(r, data);
	else if (!strcmp(name, "cmp"))
		understood = compare(r, data);
	else if (!strcmp(name, "range"))
		understood = take_range(r, data);
	else if (!strcmp(name, "match"))
		understood = plain_take_match(r->p, data);
	else if (!strcmp(name, "lookup"))
		understood = take_lookup(r, data);
	else if (!strcmp(name, "immediate"))
		take_immediate(r, data);
	else if (!strcmp(name, "target"))
		take_target(r, data);
	else if (!strcmp(name, "reject"))
		r->p->target = "REJECT";
	else if (!strcmp(name, "queue"))
		r->p->target = ANYTHING;
	else
		understood = !strcmp(name, "counter") || !strcmp(name, "log");
	r->p->more |= !understood;
}

struct plain plain_of_rule(const struct rule *rule, struct arena *a, uint8_t family)
{
	struct plain p = {.target = "",
			  .family = family_of_nfproto(family),
			  .ours = foreign_look_at(rule).ours != NULL};
	struct reading r = {.p = &p, .a = a};
	struct attrs rest = {rule->exprs, rule->exprs_len}, elem;
	uint16_t type;

	while (attr_next(&rest, &type, &elem))
		take(&r, attr_text(attr_find(elem, NFTA_EXPR_NAME)),
		     attr_find(elem, NFTA_EXPR_DATA));
	p.commented |= rule->comment != NULL;
	return p;
}

void plain_of_chain(plain_chains *chains, struct arena *a, const struct chain *chain,
		    uint8_t family)
{
	struct plain_chain *made = list_add(a, chains);

	*made = (struct plain_chain){.name = chain->name, .drops = chain->drops};
	for (uint32_t i = 0; i < chain->rules.n && i < MAX_RULES; i++)
		*list_add(a, &made->rules) = plain_of_rule(&chain->rules.items[i], a, family);
}

void plain_of_table(plain_chains *chains, struct arena *a, const struct ruleset *table)
{
	list_each (chain, &table->chains)
		plain_of_chain(chains, a, chain, table->family);
}
