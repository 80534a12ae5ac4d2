/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internet addresses and prefixes, both families in one type. Bytes are in network order, from
 * bytes[0]; an IPv4 address uses the first four and leaves the rest zero, so that equal addresses
 * have equal memory. All-zero is "no address".
 */
#pragma once

#include "base/base.h"

#include <string.h>

enum { IP_TEXT_LEN = 50 }; /* longest IPv6 text, "/128" and NUL */

struct ip {
	uint8_t family; /* 0 none, 4, 6 */
	uint8_t bytes[16];
};

struct prefix {
	struct ip ip;
	uint8_t len; /* bits */
};

/* What is kept once for each family is an array that these index. */
enum family { FAMILY_4, FAMILY_6, N_FAMILIES };
/* 4, then 6, as in struct ip. */
#define each_family(f) for (uint8_t f = 4; (f) <= 6; (f) = (uint8_t)((f) + 2))

struct ip_text {
	char s[IP_TEXT_LEN];
};

/* Strict: four decimal octets without leading zeros, or RFC 4291 text. */
MUST_CHECK bool ip_parse(struct ip *ip, const char *text);
/* "a.b.c.d/len"; host bits are kept, see prefix_is_canonical. */
MUST_CHECK bool prefix_parse(struct prefix *p, const char *text);

/* A prefix, or an address as a prefix of full length. */
MUST_CHECK bool prefix_parse_any(struct prefix *p, const char *text);

struct ip ip_v4(uint32_t host_order);
uint32_t ip_to_v4(struct ip ip); /* host order; 0 for other families */
struct ip ip_plus(struct ip ip, uint32_t n);

struct prefix prefix_of(struct ip ip); /* the single address: /32, /128 */
struct ip prefix_first(struct prefix p);
struct ip prefix_last(struct prefix p); /* broadcast of an IPv4 subnet */
struct prefix prefix_canonical(struct prefix p);
bool prefix_is_canonical(struct prefix p);
bool prefix_overlaps(struct prefix a, struct prefix b);
/* The i-th of the parts of p that have this length: no more than 32 bits longer than p's. */
struct prefix prefix_part(struct prefix p, uint8_t len, uint32_t i);

/*
 * Returned by value, for printf("%s", ip_format(a).s). A single address is printed without its
 * length.
 */
struct ip_text ip_format(struct ip ip);
struct ip_text prefix_format(struct prefix p);
struct ip_text prefix_format_full(struct prefix p); /* always with the length */

/* --- asked very often for a large file: inlined --- */

static inline uint8_t ip_bits(struct ip ip) /* 32, 128, 0 */
{
	return ip.family == 4 ? 32 : ip.family == 6 ? 128 : 0;
}

/* Of an address that has one. */
static inline enum family ip_family(struct ip ip)
{
	return ip.family == 6 ? FAMILY_6 : FAMILY_4;
}

static inline bool prefix_is_single(struct prefix p)
{
	return p.ip.family && p.len == ip_bits(p.ip);
}

/* The n-th eight bytes as a number that sorts like them. */
static inline uint64_t ip_half(const struct ip *ip, int n)
{
	uint64_t half;

	memcpy(&half, ip->bytes + 8 * n, sizeof(half));
	return __builtin_bswap64(half);
}

static inline int ip_compare(struct ip a, struct ip b)
{
	uint64_t left = a.family, right = b.family;

	for (int n = 0; left == right && n < 2; n++) {
		left = ip_half(&a, n);
		right = ip_half(&b, n);
	}
	return (left > right) - (left < right);
}

/* For qsort. */
static inline int ip_order(const void *left, const void *right)
{
	return ip_compare(*(const struct ip *)left, *(const struct ip *)right);
}

static inline bool ip_equal(struct ip a, struct ip b)
{
	return !memcmp(&a, &b, sizeof(a));
}

static inline int prefix_compare(struct prefix a, struct prefix b)
{
	int order = ip_compare(a.ip, b.ip);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* The first len bits are equal. */
static inline bool ip_same_bits(const struct ip *a, const struct ip *b, unsigned len)
{
	if (len <= 64)
		return !len || !((ip_half(a, 0) ^ ip_half(b, 0)) >> (64 - len));
	return ip_half(a, 0) == ip_half(b, 0) && !((ip_half(a, 1) ^ ip_half(b, 1)) >> (128 - len));
}

static inline bool prefix_covers(struct prefix outer, struct prefix inner)
{
	return outer.ip.family && outer.ip.family == inner.ip.family && outer.len <= inner.len &&
	       ip_same_bits(&outer.ip, &inner.ip, outer.len);
}

static inline bool prefix_contains(struct prefix p, struct ip ip)
{
	return p.ip.family && p.ip.family == ip.family && ip_same_bits(&p.ip, &ip, p.len);
}

/* --- IP protocols that policies know --- */

const char *protocol_name(uint8_t number); /* "tcp"; "other" if it is not in the table */
uint8_t protocol_number(const char *name); /* 0: none of them */
bool protocol_has_name(uint8_t number);
/* Each family has its own "icmp": its number in packets of one, and the name that both have. */
uint8_t protocol_in_family(uint8_t number, uint8_t family);
const char *protocol_common_name(uint8_t number);
bool protocol_has_ports(uint8_t number);
