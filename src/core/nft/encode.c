/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules in the kernel's language: every term becomes the expressions that nft 1.0.6 makes of the
 * same words, so that `nft list ruleset` reads them back as people would write them. Written so
 * that a dump gives back the very bytes: no nesting flags, bitwise with its op, nat with both ends.
 */
#include "core/nft/nft.h"
#include "core/nft/nlattr.h"

#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* Where an IPv4 or IPv6 header has its addresses: offset, length. */
static const struct {
	uint8_t saddr, daddr, len;
} headers[] = {[4] = {12, 16, 4}, [6] = {8, 24, 16}};

/* --- expressions --- */

struct expr {
	size_t element, data;
};

static struct expr expr_begin(struct buf *b, const char *name)
{
	struct expr e = {.element = nla_begin(b, NFTA_LIST_ELEM)};

	nla_text(b, NFTA_EXPR_NAME, name);
	e.data = nla_begin(b, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct buf *b, struct expr e)
{
	nla_end(b, e.data);
	nla_end(b, e.element);
}

/* The n-th 32-bit word of the registers, numbered as the kernel dumps it. */
static uint32_t word_register(uint32_t word)
{
	return word % 4 ? NFT_REG32_00 + word : NFT_REG_1 + word / 4;
}

static void data_attr(struct buf *b, uint16_t type, const void *value, size_t len)
{
	size_t data = nla_begin(b, type);

	nla_bytes(b, NFTA_DATA_VALUE, value, len);
	nla_end(b, data);
}

static void load_meta(struct buf *b, uint32_t key, uint32_t reg)
{
	struct expr e = expr_begin(b, "meta");

	nla_be32(b, NFTA_META_KEY, key);
	nla_be32(b, NFTA_META_DREG, reg);
	expr_end(b, e);
}

static void store_meta(struct buf *b, uint32_t key)
{
	struct expr e = expr_begin(b, "meta");

	nla_be32(b, NFTA_META_KEY, key);
	nla_be32(b, NFTA_META_SREG, NFT_REG_1);
	expr_end(b, e);
}

static void load_ct(struct buf *b, uint32_t key)
{
	struct expr e = expr_begin(b, "ct");

	nla_be32(b, NFTA_CT_KEY, key);
	nla_be32(b, NFTA_CT_DREG, NFT_REG_1);
	expr_end(b, e);
}

static void load_original_port(struct buf *b)
{
	struct expr e = expr_begin(b, "ct");

	nla_be32(b, NFTA_CT_KEY, NFT_CT_PROTO_DST);
	nla_be32(b, NFTA_CT_DREG, NFT_REG_1);
	nla_byte(b, NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
	expr_end(b, e);
}

static void store_ct(struct buf *b, uint32_t key)
{
	struct expr e = expr_begin(b, "ct");

	nla_be32(b, NFTA_CT_KEY, key);
	nla_be32(b, NFTA_CT_SREG, NFT_REG_1);
	expr_end(b, e);
}

static void load_payload(struct buf *b, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg)
{
	struct expr e = expr_begin(b, "payload");

	nla_be32(b, NFTA_PAYLOAD_DREG, reg);
	nla_be32(b, NFTA_PAYLOAD_BASE, base);
	nla_be32(b, NFTA_PAYLOAD_OFFSET, offset);
	nla_be32(b, NFTA_PAYLOAD_LEN, len);
	expr_end(b, e);
}

static void load_fib(struct buf *b, uint32_t result, uint32_t flags)
{
	struct expr e = expr_begin(b, "fib");

	nla_be32(b, NFTA_FIB_DREG, NFT_REG_1);
	nla_be32(b, NFTA_FIB_RESULT, result);
	nla_be32(b, NFTA_FIB_FLAGS, flags);
	expr_end(b, e);
}

static void load_hash(struct buf *b, uint32_t len, uint32_t modulus, uint32_t seed)
{
	struct expr e = expr_begin(b, "hash");

	nla_be32(b, NFTA_HASH_SREG, NFT_REG_2);
	nla_be32(b, NFTA_HASH_DREG, NFT_REG_1);
	nla_be32(b, NFTA_HASH_LEN, len);
	nla_be32(b, NFTA_HASH_MODULUS, modulus);
	nla_be32(b, NFTA_HASH_SEED, seed);
	nla_be32(b, NFTA_HASH_TYPE, NFT_HASH_JENKINS);
	expr_end(b, e);
}

static void compare(struct buf *b, uint32_t op, const void *value, size_t len)
{
	struct expr e = expr_begin(b, "cmp");

	nla_be32(b, NFTA_CMP_SREG, NFT_REG_1);
	nla_be32(b, NFTA_CMP_OP, op);
	data_attr(b, NFTA_CMP_DATA, value, len);
	expr_end(b, e);
}

/* reg1 = (reg1 & mask) ^ xor */
static void bitwise(struct buf *b, const void *mask, const void * xor, uint32_t len)
{
	struct expr e = expr_begin(b, "bitwise");

	nla_be32(b, NFTA_BITWISE_SREG, NFT_REG_1);
	nla_be32(b, NFTA_BITWISE_DREG, NFT_REG_1);
	nla_be32(b, NFTA_BITWISE_LEN, len);
	nla_be32(b, NFTA_BITWISE_OP, NFT_BITWISE_BOOL);
	data_attr(b, NFTA_BITWISE_MASK, mask, len);
	data_attr(b, NFTA_BITWISE_XOR, xor, len);
	expr_end(b, e);
}

/* into: the register that gets the data of a map; NFT_REG_VERDICT of one to verdicts; -1: a set. */
static void lookup(struct buf *b, const char *set, bool inverted, int into)
{
	struct expr e = expr_begin(b, "lookup");

	nla_text(b, NFTA_LOOKUP_SET, set);
	nla_be32(b, NFTA_LOOKUP_SREG, NFT_REG_1);
	if (into >= 0)
		nla_be32(b, NFTA_LOOKUP_DREG, (uint32_t)into);
	nla_be32(b, NFTA_LOOKUP_FLAGS, inverted ? NFT_LOOKUP_F_INV : 0);
	expr_end(b, e);
}

static void immediate(struct buf *b, uint32_t reg, const void *value, size_t len)
{
	struct expr e = expr_begin(b, "immediate");

	nla_be32(b, NFTA_IMMEDIATE_DREG, reg);
	data_attr(b, NFTA_IMMEDIATE_DATA, value, len);
	expr_end(b, e);
}

static void verdict(struct buf *b, int code, const char *chain)
{
	struct expr e = expr_begin(b, "immediate");
	size_t data, verdict;

	nla_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nla_begin(b, NFTA_IMMEDIATE_DATA);
	verdict = nla_begin(b, NFTA_DATA_VERDICT);
	nla_be32(b, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain)
		nla_text(b, NFTA_VERDICT_CHAIN, chain);
	nla_end(b, verdict);
	nla_end(b, data);
	expr_end(b, e);
}

/* Addresses in register 1, ports (if any) in the given one. */
static void nat(struct buf *b, uint32_t type, uint8_t family, uint32_t port_reg)
{
	struct expr e = expr_begin(b, "nat");

	nla_be32(b, NFTA_NAT_TYPE, type);
	nla_be32(b, NFTA_NAT_FAMILY, family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	nla_be32(b, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	nla_be32(b, NFTA_NAT_REG_ADDR_MAX, NFT_REG_1);
	if (port_reg) {
		nla_be32(b, NFTA_NAT_REG_PROTO_MIN, port_reg);
		nla_be32(b, NFTA_NAT_REG_PROTO_MAX, port_reg);
	}
	nla_be32(b, NFTA_NAT_FLAGS,
		 NF_NAT_RANGE_MAP_IPS | (port_reg ? NF_NAT_RANGE_PROTO_SPECIFIED : 0));
	expr_end(b, e);
}

/* --- terms --- */

static void match_name(struct buf *b, uint32_t key, uint32_t op, const char *name)
{
	char padded[16] = {0}; /* IFNAMSIZ */

	strncpy(padded, name, sizeof(padded) - 1);
	load_meta(b, key, NFT_REG_1);
	compare(b, op, padded, sizeof(padded));
}

static void match_byte(struct buf *b, uint32_t meta_key, uint8_t value)
{
	load_meta(b, meta_key, NFT_REG_1);
	compare(b, NFT_CMP_EQ, &value, sizeof(value));
}

static void match_prefix(struct buf *b, struct prefix prefix, bool source)
{
	uint8_t mask[16], nothing[16] = {0}, family = prefix.ip.family;
	uint32_t len = headers[family].len;

	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER,
		     source ? headers[family].saddr : headers[family].daddr, len, NFT_REG_1);
	if (!prefix_is_single(prefix)) {
		for (uint32_t i = 0; i < len; i++) {
			uint32_t bits = prefix.len > i * 8 ? prefix.len - i * 8 : 0;
			uint32_t high = bits >= 8 ? 0xff : 0xff00u >> bits;

			mask[i] = (uint8_t)high;
		}
		bitwise(b, mask, nothing, len);
	}
	compare(b, NFT_CMP_EQ, prefix_first(prefix).bytes, len);
}

static void match_ports(struct buf *b, uint32_t offset, uint16_t low, uint16_t high)
{
	uint8_t first[2] = {(uint8_t)(low >> 8), (uint8_t)low};
	uint8_t last[2] = {(uint8_t)(high >> 8), (uint8_t)high};

	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2, NFT_REG_1);
	if (low == high) {
		compare(b, NFT_CMP_EQ, first, sizeof(first));
		return;
	}
	compare(b, NFT_CMP_GTE, first, sizeof(first));
	compare(b, NFT_CMP_LTE, last, sizeof(last));
}

/* Bits of register 1: any of them set. */
static void match_any_bit(struct buf *b, uint32_t bits)
{
	uint32_t nothing = 0;

	bitwise(b, &bits, &nothing, sizeof(bits));
	compare(b, NFT_CMP_NEQ, &nothing, sizeof(nothing));
}

static void match_all_bits(struct buf *b, uint32_t bits)
{
	uint32_t nothing = 0;

	bitwise(b, &bits, &nothing, sizeof(bits));
	compare(b, NFT_CMP_EQ, &bits, sizeof(bits));
}

static void change_bits(struct buf *b, uint32_t clear, uint32_t set)
{
	uint32_t mask = ~(clear | set);

	bitwise(b, &mask, &set, sizeof(mask));
}

/* Only on links of this type the header has MAC addresses where they are read. */
static void match_ethernet(struct buf *b)
{
	const uint16_t ethernet = ARPHRD_ETHER;

	load_meta(b, NFT_META_IIFTYPE, NFT_REG_1);
	compare(b, NFT_CMP_EQ, &ethernet, sizeof(ethernet));
}

/* The key of a lookup, field behind field, each from a word of its own. */
static void load_key(struct buf *b, uint8_t family, const struct term *t)
{
	const uint32_t network = NFT_PAYLOAD_NETWORK_HEADER;
	const uint32_t transport = NFT_PAYLOAD_TRANSPORT_HEADER;
	uint8_t len = headers[family].len;
	uint32_t word = 0;

	if (memchr(t->loads, LOAD_ETHER_SADDR, t->n_loads))
		match_ethernet(b);
	for (uint8_t i = 0; i < t->n_loads; i++) {
		uint32_t reg = word_register(word);

		switch ((enum load)t->loads[i]) {
		case LOAD_SADDR:
			load_payload(b, network, headers[family].saddr, len, reg);
			word += len / 4u;
			break;
		case LOAD_DADDR:
			load_payload(b, network, headers[family].daddr, len, reg);
			word += len / 4u;
			break;
		case LOAD_PROTO:
			load_meta(b, NFT_META_L4PROTO, reg);
			word++;
			break;
		case LOAD_SPORT:
			load_payload(b, transport, 0, 2, reg);
			word++;
			break;
		case LOAD_DPORT:
			load_payload(b, transport, 2, 2, reg);
			word++;
			break;
		case LOAD_IIFNAME:
			load_meta(b, NFT_META_IIFNAME, reg);
			word += 4;
			break;
		case LOAD_OIFNAME:
			load_meta(b, NFT_META_OIFNAME, reg);
			word += 4;
			break;
		case LOAD_ETHER_SADDR:
			load_payload(b, NFT_PAYLOAD_LL_HEADER, 6, 6, reg);
			word += 2;
			break;
		case LOAD_ARP_ETHER:
			load_payload(b, network, 8, 6, reg);
			word += 2;
			break;
		case LOAD_ARP_IP:
			load_payload(b, network, 14, 4, reg);
			word++;
			break;
		case LOAD_ND_TARGET:
			load_payload(b, transport, 8, 16, reg);
			word += 4;
			break;
		}
	}
}

/* One encoder per kind of term, all of one shape. */
#define ENCODER(name)                                                                              \
	static void name(struct buf *b UNUSED, const struct rule *rule UNUSED,                     \
			 const struct term *t UNUSED)

ENCODER(encode_iifname)
{
	match_name(b, NFT_META_IIFNAME, NFT_CMP_EQ, t->name);
}

ENCODER(encode_oifname)
{
	match_name(b, NFT_META_OIFNAME, t->kind == TERM_OIFNAME ? NFT_CMP_EQ : NFT_CMP_NEQ,
		   t->name);
}

ENCODER(encode_address)
{
	match_prefix(b, t->prefix, t->kind == TERM_SADDR);
}

ENCODER(encode_proto)
{
	match_byte(b, NFT_META_L4PROTO, (uint8_t)t->number);
}

ENCODER(encode_original_port)
{
	uint8_t port[2] = {(uint8_t)(t->low >> 8), (uint8_t)t->low};
	uint8_t last[2] = {(uint8_t)(t->high >> 8), (uint8_t)t->high};

	load_original_port(b);
	if (t->high <= t->low) {
		compare(b, NFT_CMP_EQ, port, sizeof(port));
		return;
	}
	compare(b, NFT_CMP_GTE, port, sizeof(port));
	compare(b, NFT_CMP_LTE, last, sizeof(last));
}

ENCODER(encode_ports)
{
	match_ports(b, t->kind == TERM_SPORT ? 0 : 2, t->low, t->high);
}

ENCODER(encode_share)
{
	const uint32_t part = t->low;

	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, headers[rule->family].saddr,
		     headers[rule->family].len, NFT_REG_2);
	load_hash(b, headers[rule->family].len, t->high, t->number);
	compare(b, NFT_CMP_EQ, &part, sizeof(part));
}

ENCODER(encode_icmp_type)
{
	const uint8_t first = (uint8_t)t->low, last = (uint8_t)t->high;

	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_REG_1);
	if (t->low == t->high) {
		compare(b, NFT_CMP_EQ, &first, sizeof(first));
		return;
	}
	compare(b, NFT_CMP_GTE, &first, sizeof(first));
	compare(b, NFT_CMP_LTE, &last, sizeof(last));
}

ENCODER(encode_tcp_begins)
{
	enum { SYN = 0x02, ACK = 0x10 }; /* RFC 9293, section 3.1 */
	const uint8_t mask = SYN | ACK, nothing = 0, begins = SYN;

	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, NFT_REG_1);
	bitwise(b, &mask, &nothing, sizeof(mask));
	compare(b, NFT_CMP_EQ, &begins, sizeof(begins));
}

ENCODER(encode_ct_state)
{
	load_ct(b, NFT_CT_STATE);
	match_any_bit(b, t->number);
}

ENCODER(encode_ct_status_dnat)
{
	load_ct(b, NFT_CT_STATUS);
	match_any_bit(b, IPS_DST_NAT);
}

ENCODER(encode_ct_unconfirmed)
{
	uint32_t confirmed = IPS_CONFIRMED, nothing = 0;

	load_ct(b, NFT_CT_STATUS);
	bitwise(b, &confirmed, &nothing, sizeof(confirmed));
	compare(b, NFT_CMP_EQ, &nothing, sizeof(nothing));
}

ENCODER(encode_mark)
{
	load_meta(b, NFT_META_MARK, NFT_REG_1);
	match_all_bits(b, t->number);
}

ENCODER(encode_ct_mark)
{
	uint32_t nothing = 0;

	load_ct(b, NFT_CT_MARK);
	if (t->mask != UINT32_MAX)
		bitwise(b, &t->mask, &nothing, sizeof(nothing));
	compare(b, NFT_CMP_EQ, &t->number, sizeof(t->number));
}

ENCODER(encode_ct_direction)
{
	uint8_t direction = (uint8_t)t->number;

	load_ct(b, NFT_CT_DIRECTION);
	compare(b, NFT_CMP_EQ, &direction, sizeof(direction));
}

ENCODER(encode_fib_local)
{
	uint32_t local = RTN_LOCAL;

	load_fib(b, NFT_FIB_RESULT_ADDRTYPE,
		 t->kind == TERM_FIB_OWN ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR);
	compare(b, NFT_CMP_EQ, &local, sizeof(local));
}

ENCODER(encode_fib_foreign)
{
	uint32_t missing = 0;

	load_fib(b, NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
	compare(b, NFT_CMP_EQ, &missing, sizeof(missing));
}

ENCODER(encode_lookup)
{
	load_key(b, rule->family, t);
	lookup(b, t->name, t->kind == TERM_LOOKUP_NOT, -1);
}

ENCODER(encode_vmap)
{
	load_key(b, rule->family, t);
	lookup(b, t->name, false, NFT_REG_VERDICT);
}

ENCODER(encode_counter)
{
	expr_end(b, expr_begin(b, "counter"));
}

ENCODER(encode_limit)
{
	struct expr e = expr_begin(b, "limit");

	nla_be64(b, NFTA_LIMIT_RATE, t->number);
	nla_be64(b, NFTA_LIMIT_UNIT, 1);
	nla_be32(b, NFTA_LIMIT_BURST, t->number);
	nla_be32(b, NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nla_be32(b, NFTA_LIMIT_FLAGS, 0);
	expr_end(b, e);
}

ENCODER(encode_log)
{
	struct expr e = expr_begin(b, "log");

	nla_text(b, NFTA_LOG_PREFIX, t->name);
	nla_be16(b, NFTA_LOG_GROUP, (uint16_t)t->number);
	nla_be32(b, NFTA_LOG_SNAPLEN, LOG_SNAPLEN);
	expr_end(b, e);
}

ENCODER(encode_mark_change)
{
	load_meta(b, NFT_META_MARK, NFT_REG_1);
	change_bits(b, t->number, t->kind == TERM_MARK_SET ? t->number : 0);
	store_meta(b, NFT_META_MARK);
}

ENCODER(encode_ct_mark_change)
{
	load_ct(b, NFT_CT_MARK);
	change_bits(b, t->mask, t->number);
	store_ct(b, NFT_CT_MARK);
}

ENCODER(encode_dnat)
{
	uint8_t port[2] = {(uint8_t)(t->low >> 8), (uint8_t)t->low};

	immediate(b, NFT_REG_1, t->prefix.ip.bytes, ip_bits(t->prefix.ip) / 8);
	if (t->low)
		immediate(b, NFT_REG_2, port, sizeof(port));
	nat(b, NFT_NAT_DNAT, t->prefix.ip.family, t->low ? NFT_REG_2 : 0);
}

ENCODER(encode_dnat_map)
{
	load_key(b, rule->family, t);
	lookup(b, t->name, false, NFT_REG_1);
	nat(b, NFT_NAT_DNAT, rule->family, word_register(headers[rule->family].len / 4));
}

ENCODER(encode_snat_self)
{
	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, headers[rule->family].saddr,
		     headers[rule->family].len, NFT_REG_1);
	nat(b, NFT_NAT_SNAT, rule->family, 0);
}

ENCODER(encode_masquerade)
{
	expr_end(b, expr_begin(b, "masq"));
}

ENCODER(encode_verdict)
{
	static const int codes[] = {
		[TERM_ACCEPT] = NF_ACCEPT, [TERM_DROP] = NF_DROP,  [TERM_RETURN] = NFT_RETURN,
		[TERM_JUMP] = NFT_JUMP,	   [TERM_GOTO] = NFT_GOTO,
	};

	verdict(b, codes[t->kind], t->name);
}

static void (*const encoders[])(struct buf *, const struct rule *, const struct term *) = {
	[TERM_IIFNAME] = encode_iifname,
	[TERM_OIFNAME] = encode_oifname,
	[TERM_NOT_OIFNAME] = encode_oifname,
	[TERM_SADDR] = encode_address,
	[TERM_DADDR] = encode_address,
	[TERM_PROTO] = encode_proto,
	[TERM_SPORT] = encode_ports,
	[TERM_DPORT] = encode_ports,
	[TERM_SHARE] = encode_share,
	[TERM_ORIGINAL_DPORT] = encode_original_port,
	[TERM_ICMP_TYPE] = encode_icmp_type,
	[TERM_TCP_BEGINS] = encode_tcp_begins,
	[TERM_CT_STATE] = encode_ct_state,
	[TERM_CT_STATUS_DNAT] = encode_ct_status_dnat,
	[TERM_CT_UNCONFIRMED] = encode_ct_unconfirmed,
	[TERM_MARK_HAS] = encode_mark,
	[TERM_CT_MARK] = encode_ct_mark,
	[TERM_CT_DIRECTION] = encode_ct_direction,
	[TERM_FIB_LOCAL] = encode_fib_local,
	[TERM_FIB_OWN] = encode_fib_local,
	[TERM_FIB_FOREIGN] = encode_fib_foreign,
	[TERM_LOOKUP] = encode_lookup,
	[TERM_LOOKUP_NOT] = encode_lookup,
	[TERM_VMAP] = encode_vmap,
	[TERM_COUNTER] = encode_counter,
	[TERM_LIMIT] = encode_limit,
	[TERM_LOG] = encode_log,
	[TERM_MARK_SET] = encode_mark_change,
	[TERM_MARK_CLEAR] = encode_mark_change,
	[TERM_CT_MARK_SET] = encode_ct_mark_change,
	[TERM_DNAT] = encode_dnat,
	[TERM_DNAT_MAP] = encode_dnat_map,
	[TERM_SNAT_SELF] = encode_snat_self,
	[TERM_MASQUERADE] = encode_masquerade,
	[TERM_ACCEPT] = encode_verdict,
	[TERM_DROP] = encode_verdict,
	[TERM_RETURN] = encode_verdict,
	[TERM_JUMP] = encode_verdict,
	[TERM_GOTO] = encode_verdict,
};

static void encode_rule(struct rule *rule, struct arena *a, struct buf *b)
{
	const uint8_t protocol[2] = {(uint8_t)(rule->protocol >> 8), (uint8_t)rule->protocol};

	buf_clear(b);
	if (rule->protocol) {
		load_meta(b, NFT_META_PROTOCOL, NFT_REG_1);
		compare(b, NFT_CMP_EQ, protocol, sizeof(protocol));
	} else if (rule->family)
		match_byte(b, NFT_META_NFPROTO, rule->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	list_each (t, &rule->terms)
		encoders[t->kind](b, rule, t);
	rule->exprs = memcpy(arena_alloc(a, b->len), b->data, b->len);
	rule->exprs_len = (uint32_t)b->len;
}

void nft_encode_ruleset(struct ruleset *rs, struct arena *a)
{
	AUTO_BUF struct buf b = {0};

	list_each (chain, &rs->chains)
		list_each (rule, &chain->rules)
			encode_rule(rule, a, &b);
}
