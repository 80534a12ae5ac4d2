/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/nft/expr.h"

#include "core/nft/nlattr.h"
#include "core/ruleset/ruleset.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

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

uint32_t expr_register(uint32_t word)
{
	return word % 4 ? NFT_REG32_00 + word : NFT_REG_1 + word / 4;
}

static void data_attr(struct buf *b, uint16_t type, const void *value, size_t len)
{
	size_t data = nla_begin(b, type);

	nla_bytes(b, NFTA_DATA_VALUE, value, len);
	nla_end(b, data);
}

/* An attribute of one word; most expressions have no others. */
struct word {
	uint16_t type;
	uint32_t value;
};

static void add_words(struct buf *b, const char *name, const struct word *words, size_t n)
{
	struct expr e = expr_begin(b, name);

	for (size_t i = 0; i < n; i++)
		nla_be32(b, words[i].type, words[i].value);
	expr_end(b, e);
}

#define ADD_WORDS(b, name, ...)                                                                    \
	add_words(b, name, (const struct word[]){__VA_ARGS__},                                     \
		  sizeof((const struct word[]){__VA_ARGS__}) / sizeof(struct word))

void expr_empty(struct buf *b, const char *name)
{
	expr_end(b, expr_begin(b, name));
}

void expr_load_meta(struct buf *b, uint32_t key, uint32_t reg)
{
	ADD_WORDS(b, "meta", {NFTA_META_KEY, key}, {NFTA_META_DREG, reg});
}

void expr_store_meta(struct buf *b, uint32_t key)
{
	ADD_WORDS(b, "meta", {NFTA_META_KEY, key}, {NFTA_META_SREG, NFT_REG_1});
}

void expr_load_ct(struct buf *b, uint32_t key)
{
	ADD_WORDS(b, "ct", {NFTA_CT_KEY, key}, {NFTA_CT_DREG, NFT_REG_1});
}

void expr_load_original_port(struct buf *b)
{
	struct expr e = expr_begin(b, "ct");

	nla_be32(b, NFTA_CT_KEY, NFT_CT_PROTO_DST);
	nla_be32(b, NFTA_CT_DREG, NFT_REG_1);
	nla_byte(b, NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
	expr_end(b, e);
}

void expr_store_ct(struct buf *b, uint32_t key)
{
	ADD_WORDS(b, "ct", {NFTA_CT_KEY, key}, {NFTA_CT_SREG, NFT_REG_1});
}

void expr_load_payload(struct buf *b, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg)
{
	ADD_WORDS(b, "payload", {NFTA_PAYLOAD_DREG, reg}, {NFTA_PAYLOAD_BASE, base},
		  {NFTA_PAYLOAD_OFFSET, offset}, {NFTA_PAYLOAD_LEN, len});
}

void expr_load_fib(struct buf *b, uint32_t result, uint32_t flags)
{
	ADD_WORDS(b, "fib", {NFTA_FIB_DREG, NFT_REG_1}, {NFTA_FIB_RESULT, result},
		  {NFTA_FIB_FLAGS, flags});
}

void expr_hash(struct buf *b, uint32_t len, uint32_t modulus, uint32_t seed)
{
	ADD_WORDS(b, "hash", {NFTA_HASH_SREG, NFT_REG_2}, {NFTA_HASH_DREG, NFT_REG_1},
		  {NFTA_HASH_LEN, len}, {NFTA_HASH_MODULUS, modulus}, {NFTA_HASH_SEED, seed},
		  {NFTA_HASH_TYPE, NFT_HASH_JENKINS});
}

void expr_compare(struct buf *b, uint32_t op, const void *value, size_t len)
{
	struct expr e = expr_begin(b, "cmp");

	nla_be32(b, NFTA_CMP_SREG, NFT_REG_1);
	nla_be32(b, NFTA_CMP_OP, op);
	data_attr(b, NFTA_CMP_DATA, value, len);
	expr_end(b, e);
}

void expr_bitwise(struct buf *b, const void *mask, const void * xor, uint32_t len)
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

void expr_lookup(struct buf *b, const char *set, bool inverted, int into)
{
	struct expr e = expr_begin(b, "lookup");

	nla_text(b, NFTA_LOOKUP_SET, set);
	nla_be32(b, NFTA_LOOKUP_SREG, NFT_REG_1);
	if (into >= 0)
		nla_be32(b, NFTA_LOOKUP_DREG, (uint32_t)into);
	nla_be32(b, NFTA_LOOKUP_FLAGS, inverted ? NFT_LOOKUP_F_INV : 0);
	expr_end(b, e);
}

void expr_immediate(struct buf *b, uint32_t reg, const void *value, size_t len)
{
	struct expr e = expr_begin(b, "immediate");

	nla_be32(b, NFTA_IMMEDIATE_DREG, reg);
	data_attr(b, NFTA_IMMEDIATE_DATA, value, len);
	expr_end(b, e);
}

void expr_verdict(struct buf *b, int code, const char *chain)
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

void expr_nat(struct buf *b, uint32_t type, uint8_t family, uint32_t port_reg)
{
	struct expr e = expr_begin(b, "nat");

	nla_be32(b, NFTA_NAT_TYPE, type);
	nla_be32(b, NFTA_NAT_FAMILY, nfproto(family));
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

void expr_limit(struct buf *b, uint32_t packets)
{
	struct expr e = expr_begin(b, "limit");

	nla_be64(b, NFTA_LIMIT_RATE, packets);
	nla_be64(b, NFTA_LIMIT_UNIT, 1);
	nla_be32(b, NFTA_LIMIT_BURST, packets);
	nla_be32(b, NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nla_be32(b, NFTA_LIMIT_FLAGS, 0);
	expr_end(b, e);
}

void expr_log(struct buf *b, uint16_t group, const char *prefix)
{
	struct expr e = expr_begin(b, "log");

	nla_text(b, NFTA_LOG_PREFIX, prefix);
	nla_be16(b, NFTA_LOG_GROUP, group);
	nla_be32(b, NFTA_LOG_SNAPLEN, LOG_SNAPLEN);
	expr_end(b, e);
}
