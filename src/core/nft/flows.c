/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads translations back from a table of ours that core/program/nat.c wrote: the elements of its
 * map, and the rules that translate. Other expressions of a rule are skipped.
 */
#include "core/nft/flows.h"

#include "core/nft/nlattr.h"

#include <linux/netfilter/nf_tables.h>
#include <string.h>

#define TRANSLATES     "prerouting"
#define TRANSLATES_OWN "output"

/* --- sets --- */

/* First and last address of a prefix; len: bytes of an address. */
static struct prefix prefix_between(const uint8_t *low, const uint8_t *high, size_t len)
{
	struct prefix p = {.ip = {.family = len == 16 ? 6 : 4}};

	memcpy(p.ip.bytes, low, len);
	while (p.len < len * 8 && !((low[p.len / 8] ^ high[p.len / 8]) >> (7 - p.len % 8) & 1))
		p.len++;
	return p;
}

static uint16_t port_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Decodes one map element: interface, protocol and port → address and port. */
static void take_map(struct flows *flows, struct arena *a, const struct set *map)
{
	const size_t len = field_types[map->data[0]].len;

	for (uint32_t i = 0; i < map->n; i++) {
		const uint8_t *key = set_element(map, i), *data = key + set_key_len(map);

		*list_add(a, &flows->translations) = (struct translation){
			.iface = arena_printf(a, "%.16s", (const char *)key),
			.match = {key[16], port_at(key + 20), port_at(key + 20)},
			.to = prefix_between(data, data, len).ip,
			.to_port = port_at(data + len),
			.origin = NONE};
	}
}

static bool has_shape(const struct set *set, const enum field *key, uint8_t n_key, uint8_t n_data)
{
	return set->n_key >= n_key && set->n_data == n_data &&
	       !memcmp(set->key, key, n_key * sizeof(*key));
}

static void take_set(struct flows *flows, struct arena *a, const struct set *set)
{
	static const enum field map[] = {FIELD_IFNAME, FIELD_PROTO, FIELD_PORT};

	if ((!strcmp(set->name, "translations") || !strcmp(set->name, "translations6")) &&
	    has_shape(set, map, COUNT_OF(map), 2) &&
	    (set->data[0] == FIELD_IP4 || set->data[0] == FIELD_IP6))
		take_map(flows, a, set);
}

/* --- rules --- */

enum held { NOTHING, SOURCE, PROTOCOL, PORT, TYPE, INTERFACE };

/* State while the expressions of a rule are read from left to right. */
struct reading {
	struct arena *a;
	struct translation t;
	enum held held; /* what register 1 holds */
	uint8_t mask[16];
	const struct ruleset *rs;
	const struct set *sources; /* a set of sources; NULL: t.from */
	bool translates;
};

static void read_lookup(struct reading *r, struct attrs data)
{
	if (r->held == SOURCE)
		r->sources = ruleset_find_set(r->rs, attr_text(attr_find(data, NFTA_LOOKUP_SET)));
}

static void read_payload(struct reading *r, struct attrs data)
{
	uint32_t base = attr_be32(attr_find(data, NFTA_PAYLOAD_BASE));
	uint32_t offset = attr_be32(attr_find(data, NFTA_PAYLOAD_OFFSET));

	if (base == NFT_PAYLOAD_NETWORK_HEADER &&
	    (offset == 12 || offset == 8)) /* source address of IPv4, of IPv6 */
		r->held = SOURCE;
	else if (base == NFT_PAYLOAD_TRANSPORT_HEADER)
		r->held = offset == 2 ? PORT : TYPE;
}

static void read_meta(struct reading *r, struct attrs data)
{
	uint32_t key = attr_be32(attr_find(data, NFTA_META_KEY));

	if (key == NFT_META_L4PROTO)
		r->held = PROTOCOL;
	else if (key == NFT_META_IIFNAME)
		r->held = INTERFACE;
}

static struct attrs value_of(struct attrs data, uint16_t type)
{
	return attr_find(attr_find(data, type), NFTA_DATA_VALUE);
}

static void read_bitwise(struct reading *r, struct attrs data)
{
	struct attrs mask = value_of(data, NFTA_BITWISE_MASK);

	if (mask.len <= sizeof(r->mask))
		memcpy(r->mask, mask.bytes, mask.len);
}

static void compare_source(struct reading *r, struct attrs value)
{
	uint8_t last[16];

	if (value.len != 4 && value.len != sizeof(last))
		return;
	for (size_t i = 0; i < value.len; i++)
		last[i] = value.bytes[i] | (uint8_t)~r->mask[i];
	r->t.from = prefix_between(value.bytes, last, value.len);
}

static void compare_port(struct reading *r, struct attrs value, uint32_t op)
{
	if (value.len != 2)
		return;
	if (op != NFT_CMP_LTE)
		r->t.match.low = port_at(value.bytes);
	if (op != NFT_CMP_GTE)
		r->t.match.high = port_at(value.bytes);
}

static void read_cmp(struct reading *r, struct attrs data)
{
	struct attrs value = value_of(data, NFTA_CMP_DATA);
	uint32_t op = attr_be32(attr_find(data, NFTA_CMP_OP));

	switch (r->held) {
	case NOTHING:
		break;
	case SOURCE:
		compare_source(r, value);
		break;
	case PROTOCOL:
		r->t.match.proto = value.len ? value.bytes[0] : 0;
		break;
	case PORT:
		compare_port(r, value, op);
		break;
	case TYPE:
		if (value.len == 1)
			r->t.match.low = r->t.match.high = value.bytes[0];
		break;
	case INTERFACE:
		r->t.iface = arena_printf(r->a, "%.*s", (int)value.len, (const char *)value.bytes);
		break;
	}
}

static void read_immediate(struct reading *r, struct attrs data)
{
	struct attrs value = value_of(data, NFTA_IMMEDIATE_DATA);

	if (value.len == 4 || value.len == 16)
		r->t.to = prefix_between(value.bytes, value.bytes, value.len).ip;
	else if (value.len == 2)
		r->t.to_port = port_at(value.bytes);
}

static void read_nat(struct reading *r, struct attrs data UNUSED)
{
	r->translates = r->t.to.family;
}

static const struct {
	const char *name;
	void (*read)(struct reading *r, struct attrs data);
	bool loads; /* the register holds something else */
} readers[] = {
	{"payload", read_payload, true},
	{"meta", read_meta, true},
	{"ct", NULL, true},
	{"fib", NULL, true},
	{"hash", NULL, true},
	{"bitwise", read_bitwise, false},
	{"cmp", read_cmp, false},
	{"lookup", read_lookup, false},
	{"immediate", read_immediate, false},
	{"nat", read_nat, false},
};

static void read_expression(struct reading *r, struct attrs expr)
{
	const char *name = attr_text(attr_find(expr, NFTA_EXPR_NAME));
	struct attrs data = attr_find(expr, NFTA_EXPR_DATA);

	for (size_t i = 0; i < COUNT_OF(readers); i++) {
		if (strcmp(readers[i].name, name) != 0)
			continue;
		if (readers[i].loads) {
			r->held = NOTHING;
			memset(r->mask, 0xff, sizeof(r->mask));
		}
		if (readers[i].read)
			readers[i].read(r, data);
	}
}

__extension__ typedef unsigned __int128 number;

static void put_number(uint8_t *bytes, number n, size_t len)
{
	for (size_t i = len; i-- > 0; n >>= 8)
		bytes[i] = (uint8_t)n;
}

static number number_at(const uint8_t *bytes, size_t len)
{
	number n = 0;

	for (size_t i = 0; i < len; i++)
		n = n << 8 | bytes[i];
	return n;
}

/* A range can be several merged prefixes. Splits it into the fewest prefixes. */
static void take_range(struct flows *flows, struct arena *a, struct translation t, number low,
		       number high, size_t len)
{
	for (;;) {
		number rest = 0; /* last address of the prefix that begins at low */
		uint8_t first[16], last[16];

		while (!(low & (rest << 1 | 1)) && (rest << 1 | 1) <= high - low && ~rest)
			rest = rest << 1 | 1;
		put_number(first, low, len);
		put_number(last, low + rest, len);
		t.from = prefix_between(first, last, len);
		*list_add(a, &flows->translations) = t;
		if (low + rest == high)
			return;
		low += rest + 1;
	}
}

static void take_sources(struct flows *flows, struct arena *a, struct translation t,
			 const struct set *sources)
{
	const size_t len = field_types[sources->key[0]].len;

	if (sources->n_key != 1 || (len != 4 && len != 16))
		return;
	for (uint32_t i = 0; i < sources->n; i++) {
		const uint8_t *low = set_element(sources, i);

		take_range(flows, a, t, number_at(low, len),
			   number_at(sources->interval ? low + set_key_len(sources) : low, len),
			   len);
	}
}

static void take_rule(struct flows *flows, struct arena *a, const struct ruleset *rs,
		      const struct rule *rule)
{
	struct reading r = {
		.a = a,
		.rs = rs,
		.t = {.match.high = UINT16_MAX, .origin = NONE},
	};
	struct attrs rest = {rule->exprs, rule->exprs_len}, expr;
	uint16_t type;

	memset(r.mask, 0xff, sizeof(r.mask));
	while (attr_next(&rest, &type, &expr))
		read_expression(&r, expr);
	if (r.translates && r.sources)
		take_sources(flows, a, r.t, r.sources);
	else if (r.translates)
		*list_add(a, &flows->translations) = r.t;
}

void nft_read_translations(struct flows *flows, struct arena *a, const struct ruleset *rs)
{
	list_each (set, &rs->sets)
		take_set(flows, a, set);
	list_each (chain, &rs->chains)
		if (!strcmp(chain->name, TRANSLATES) || !strcmp(chain->name, TRANSLATES_OWN))
			list_each (rule, &chain->rules)
				take_rule(flows, a, rs, rule);
}
