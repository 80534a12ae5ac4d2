/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules in the kernel's language: every term becomes the expressions that nft 1.0.6 makes of the
 * same words, so that `nft list ruleset` reads them back as people would write them. Written so
 * that a dump gives back the very bytes: no nesting flags, bitwise with its op, nat with both ends.
 */
#include "core/nft/expr.h"
#include "core/nft/nft.h"

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

static void match_name(struct buf *b, uint32_t key, uint32_t op, const char *name)
{
	char padded[16] = {0}; /* IFNAMSIZ */

	strncpy(padded, name, sizeof(padded) - 1);
	expr_load_meta(b, key, NFT_REG_1);
	expr_compare(b, op, padded, sizeof(padded));
}

static void match_byte(struct buf *b, uint32_t meta_key, uint8_t value)
{
	expr_load_meta(b, meta_key, NFT_REG_1);
	expr_compare(b, NFT_CMP_EQ, &value, sizeof(value));
}

static void load_address(struct buf *b, uint8_t family, bool source, uint32_t reg)
{
	expr_load_payload(b, NFT_PAYLOAD_NETWORK_HEADER,
			  source ? headers[family].saddr : headers[family].daddr,
			  headers[family].len, reg);
}

static void match_prefix(struct buf *b, struct prefix prefix, bool source)
{
	uint8_t mask[16], nothing[16] = {0}, family = prefix.ip.family;
	uint32_t len = headers[family].len;

	load_address(b, family, source, NFT_REG_1);
	if (!prefix_is_single(prefix)) {
		for (uint32_t i = 0; i < len; i++) {
			uint32_t bits = prefix.len > i * 8 ? prefix.len - i * 8 : 0;
			uint32_t high = bits >= 8 ? 0xff : 0xff00u >> bits;

			mask[i] = (uint8_t)high;
		}
		expr_bitwise(b, mask, nothing, len);
	}
	expr_compare(b, NFT_CMP_EQ, prefix_first(prefix).bytes, len);
}

/* Register 1 is a number of one byte or two. */
static void match_range(struct buf *b, size_t len, uint16_t low, uint16_t high)
{
	uint8_t first[2] = {(uint8_t)(low >> 8), (uint8_t)low};
	uint8_t last[2] = {(uint8_t)(high >> 8), (uint8_t)high};

	if (low == high) {
		expr_compare(b, NFT_CMP_EQ, first + 2 - len, len);
		return;
	}
	expr_compare(b, NFT_CMP_GTE, first + 2 - len, len);
	expr_compare(b, NFT_CMP_LTE, last + 2 - len, len);
}

/* These bits of register 1 are, or are not, so. */
static void match_bits(struct buf *b, uint32_t bits, uint32_t op, uint32_t value)
{
	uint32_t nothing = 0;

	expr_bitwise(b, &bits, &nothing, sizeof(bits));
	expr_compare(b, op, &value, sizeof(value));
}

static void change_bits(struct buf *b, uint32_t clear, uint32_t set)
{
	uint32_t mask = ~(clear | set);

	expr_bitwise(b, &mask, &set, sizeof(mask));
}

/* Only on links of this type the header has MAC addresses where they are read. */
static void match_ethernet(struct buf *b)
{
	const uint16_t ethernet = ARPHRD_ETHER;

	expr_load_meta(b, NFT_META_IIFTYPE, NFT_REG_1);
	expr_compare(b, NFT_CMP_EQ, &ethernet, sizeof(ethernet));
}

/* Where a part of a key is; addresses of IP are in headers[], and key is one of NFT_META_*. */
static const struct {
	uint32_t base, offset, key, len;
} parts[] = {
	[LOAD_PROTO] = {.key = NFT_META_L4PROTO, .len = 1},
	[LOAD_SPORT] = {NFT_PAYLOAD_TRANSPORT_HEADER, 0, .len = 2},
	[LOAD_DPORT] = {NFT_PAYLOAD_TRANSPORT_HEADER, 2, .len = 2},
	[LOAD_IIFNAME] = {.key = NFT_META_IIFNAME, .len = 16},
	[LOAD_OIFNAME] = {.key = NFT_META_OIFNAME, .len = 16},
	[LOAD_ETHER_SADDR] = {NFT_PAYLOAD_LL_HEADER, 6, .len = 6},
	[LOAD_ARP_ETHER] = {NFT_PAYLOAD_NETWORK_HEADER, 8, .len = 6},
	[LOAD_ARP_IP] = {NFT_PAYLOAD_NETWORK_HEADER, 14, .len = 4},
	[LOAD_ND_TARGET] = {NFT_PAYLOAD_TRANSPORT_HEADER, 8, .len = 16},
};

/* The key of a lookup, part behind part, each from a word of its own. */
static void load_key(struct buf *b, uint8_t family, const struct term *t)
{
	uint32_t word = 0, len;

	if (memchr(t->loads, LOAD_ETHER_SADDR, t->n_loads))
		match_ethernet(b);
	for (uint8_t i = 0; i < t->n_loads; i++, word += (len + 3) / 4) {
		uint8_t load = t->loads[i];
		uint32_t reg = expr_register(word);

		len = parts[load].len;
		if (load == LOAD_SADDR || load == LOAD_DADDR) {
			len = headers[family].len;
			load_address(b, family, load == LOAD_SADDR, reg);
		} else if (parts[load].key)
			expr_load_meta(b, parts[load].key, reg);
		else
			expr_load_payload(b, parts[load].base, parts[load].offset, len, reg);
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
	expr_load_original_port(b);
	match_range(b, 2, t->low, t->high > t->low ? t->high : t->low);
}

ENCODER(encode_ports)
{
	expr_load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, t->kind == TERM_SPORT ? 0 : 2, 2,
			  NFT_REG_1);
	match_range(b, 2, t->low, t->high);
}

ENCODER(encode_share)
{
	const uint32_t part = t->low;

	load_address(b, rule->family, true, NFT_REG_2);
	expr_hash(b, headers[rule->family].len, t->high, t->number);
	expr_compare(b, NFT_CMP_EQ, &part, sizeof(part));
}

ENCODER(encode_icmp_type)
{
	expr_load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_REG_1);
	match_range(b, 1, t->low, t->high);
}

ENCODER(encode_tcp_begins)
{
	enum { SYN = 0x02, ACK = 0x10 }; /* RFC 9293, section 3.1 */
	const uint8_t mask = SYN | ACK, nothing = 0, begins = SYN;

	expr_load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, NFT_REG_1);
	expr_bitwise(b, &mask, &nothing, sizeof(mask));
	expr_compare(b, NFT_CMP_EQ, &begins, sizeof(begins));
}

ENCODER(encode_ct_state)
{
	expr_load_ct(b, NFT_CT_STATE);
	match_bits(b, t->number, NFT_CMP_NEQ, 0);
}

ENCODER(encode_ct_status_dnat)
{
	expr_load_ct(b, NFT_CT_STATUS);
	match_bits(b, IPS_DST_NAT, NFT_CMP_NEQ, 0);
}

ENCODER(encode_ct_unconfirmed)
{
	expr_load_ct(b, NFT_CT_STATUS);
	match_bits(b, IPS_CONFIRMED, NFT_CMP_EQ, 0);
}

ENCODER(encode_mark)
{
	expr_load_meta(b, NFT_META_MARK, NFT_REG_1);
	match_bits(b, t->number, NFT_CMP_EQ, t->number);
}

ENCODER(encode_ct_mark)
{
	uint32_t nothing = 0;

	expr_load_ct(b, NFT_CT_MARK);
	if (t->mask != UINT32_MAX)
		expr_bitwise(b, &t->mask, &nothing, sizeof(nothing));
	expr_compare(b, NFT_CMP_EQ, &t->number, sizeof(t->number));
}

ENCODER(encode_ct_direction)
{
	uint8_t direction = (uint8_t)t->number;

	expr_load_ct(b, NFT_CT_DIRECTION);
	expr_compare(b, NFT_CMP_EQ, &direction, sizeof(direction));
}

ENCODER(encode_fib_local)
{
	uint32_t local = RTN_LOCAL;

	expr_load_fib(b, NFT_FIB_RESULT_ADDRTYPE,
		      t->kind == TERM_FIB_OWN ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR);
	expr_compare(b, NFT_CMP_EQ, &local, sizeof(local));
}

ENCODER(encode_fib_foreign)
{
	uint32_t missing = 0;

	expr_load_fib(b, NFT_FIB_RESULT_OIF,
		      NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
	expr_compare(b, NFT_CMP_EQ, &missing, sizeof(missing));
}

ENCODER(encode_lookup)
{
	load_key(b, rule->family, t);
	expr_lookup(b, t->name, t->kind == TERM_LOOKUP_NOT, -1);
}

ENCODER(encode_vmap)
{
	load_key(b, rule->family, t);
	expr_lookup(b, t->name, false, NFT_REG_VERDICT);
}

ENCODER(encode_counter)
{
	expr_empty(b, "counter");
}

ENCODER(encode_limit)
{
	expr_limit(b, t->number);
}

ENCODER(encode_log)
{
	expr_log(b, (uint16_t)t->number, t->name);
}

ENCODER(encode_mark_change)
{
	expr_load_meta(b, NFT_META_MARK, NFT_REG_1);
	change_bits(b, t->number, t->kind == TERM_MARK_SET ? t->number : 0);
	expr_store_meta(b, NFT_META_MARK);
}

ENCODER(encode_ct_mark_change)
{
	expr_load_ct(b, NFT_CT_MARK);
	change_bits(b, t->mask, t->number);
	expr_store_ct(b, NFT_CT_MARK);
}

ENCODER(encode_dnat)
{
	uint8_t port[2] = {(uint8_t)(t->low >> 8), (uint8_t)t->low};

	expr_immediate(b, NFT_REG_1, t->prefix.ip.bytes, ip_bits(t->prefix.ip) / 8);
	if (t->low)
		expr_immediate(b, NFT_REG_2, port, sizeof(port));
	expr_nat(b, NFT_NAT_DNAT, t->prefix.ip.family, t->low ? NFT_REG_2 : 0);
}

ENCODER(encode_dnat_map)
{
	load_key(b, rule->family, t);
	expr_lookup(b, t->name, false, NFT_REG_1);
	expr_nat(b, NFT_NAT_DNAT, rule->family, expr_register(headers[rule->family].len / 4));
}

ENCODER(encode_snat_self)
{
	load_address(b, rule->family, true, NFT_REG_1);
	expr_nat(b, NFT_NAT_SNAT, rule->family, 0);
}

ENCODER(encode_masquerade)
{
	expr_empty(b, "masq");
}

ENCODER(encode_verdict)
{
	static const int codes[] = {
		[TERM_ACCEPT] = NF_ACCEPT, [TERM_DROP] = NF_DROP,  [TERM_RETURN] = NFT_RETURN,
		[TERM_JUMP] = NFT_JUMP,	   [TERM_GOTO] = NFT_GOTO,
	};

	expr_verdict(b, codes[t->kind], t->name);
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
		expr_load_meta(b, NFT_META_PROTOCOL, NFT_REG_1);
		expr_compare(b, NFT_CMP_EQ, protocol, sizeof(protocol));
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
