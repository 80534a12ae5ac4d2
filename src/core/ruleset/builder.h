/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules, put together term by term, and sets with their elements. */
#pragma once

#include "core/flows/flows.h"
#include "core/flows/hooks.h"
#include "core/ruleset/ruleset.h"

#include <stdio.h>
#include <string.h>

enum {
	HOOK_PREROUTING = 0,
	HOOK_INPUT = 1,
	HOOK_FORWARD = 2,
	HOOK_OUTPUT = 3,
	HOOK_POSTROUTING = 4,
};

/* Before fragments are put together (-400). Before Docker's dnat (-100), filter (0), srcnat (100),
 * and before its raw drops (-300). */
enum {
	BEFORE_FRAGMENTS = -450,
	BEFORE_RAW = -310,
	BEFORE_DNAT = -110,
	BEFORE_FILTER = -10,
	BEFORE_SRCNAT = 90
};
/* Behind connection tracking, and before every translation. */
enum { BEFORE_EVERY_DNAT = -190 };
/* Behind everybody's filters, and before a source is translated. */
enum { BEHIND_FILTER = 80 };

struct source_set;

struct builder {
	struct ruleset *rs;
	struct arena *a;
	const struct hooks *hooks;
	bool ipv6;	/* there are rules of IPv6 */
	bool counted;	/* what lets connections through counts them */
	uint32_t keeps; /* bit of the connection mark for what is translated here; 0: none */
	/* What stands: core/ruleset/sources.h. */
	LIST(struct source_set) sets;
	LIST(const char *) names; /* of these sets, and of chains */
	struct hash_index sets_by_hash, by_name;
};

/* 4, and 6 where there are rules of it. */
#define each_family_of(b, f)                                                                       \
	for (uint8_t f = 4; (f) <= (uint8_t)((b)->ipv6 ? 6 : 4); (f) = (uint8_t)((f) + 2))

/* Of a family of rules, 4 or 6: the field of its addresses. */
static inline enum field address_field(uint8_t family)
{
	return family == 6 ? FIELD_IP6 : FIELD_IP4;
}

/* --- rules, term by term; what would match everything adds none --- */

struct rule *add_rule(struct builder *b, struct chain *chain, uint8_t family, const char *comment,
		      uint32_t origin);
/* Of both families, no policy's, without a comment. */
struct rule *new_rule(struct builder *b, struct chain *chain);
/* Whose members are still to be set. */
struct term *add_term(struct builder *b, struct rule *rule, enum term_kind kind);
void term_number(struct builder *b, struct rule *rule, enum term_kind kind, uint32_t number);
void term_name(struct builder *b, struct rule *rule, enum term_kind kind, const char *name);
void term_prefix(struct builder *b, struct rule *rule, enum term_kind kind, struct prefix prefix);
void term_ports(struct builder *b, struct rule *rule, enum term_kind kind, uint16_t low,
		uint16_t high);
void term_icmp(struct builder *b, struct rule *rule, const struct icmp_types *types);
void term_match(struct builder *b, struct rule *rule, struct traffic match);
void term_traffic(struct builder *b, struct rule *rule, enum term_kind ports, struct traffic match);
void term_ct_mark(struct builder *b, struct rule *rule, uint32_t number, uint32_t mask);
/* At the end of a rule: what the limit holds back goes on as if the rule were not there. */
void term_log(struct builder *b, struct rule *rule, uint32_t group, const char *prefix);
/* Where what lets connections through is counted. */
void term_count(struct builder *b, struct rule *rule);
/* The connection mark says that we admitted it. */
void term_admitted(struct builder *b, struct rule *rule);
/* loads: enum load, n of them. */
void add_lookup(struct builder *b, struct rule *rule, enum term_kind kind, const char *name,
		const uint8_t *loads, size_t n);
struct chain *add_chain(struct builder *b, const char *name);
struct chain *add_base_chain(struct builder *b, const char *name, const char *type, uint32_t hook,
			     int32_t priority);

/* --- rules that several chains have --- */

/* What we admitted once, and no policy admits any more, ends. */
void drop_revoked(struct builder *b, struct chain *chain);
/* What policies admit has the accept bit, and goes on to the next hook. */
void accept_admitted(struct builder *b, struct chain *chain);

/* A source address that is borrowed ends in this verdict; to: the chain of TERM_GOTO, else NULL. */
void end_borrowed(struct builder *b, struct chain *chain, enum term_kind verdict, const char *to);
/* The beginning of such a rule, the verdict follows; NULL: nobody has such a source. */
enum borrowed { OF_A_NETWORK, FROM_A_BRIDGE, N_BORROWED };
struct rule *add_borrowed(struct builder *b, struct chain *chain, uint8_t family,
			  enum borrowed borrowed);
/*
 * What comes here is reported, and goes on; sources share the reports of a second. In a table of
 * family bridge, too.
 */
void log_in_shares(struct builder *b, struct chain *chain, const char *prefix);

/* --- sets and their elements --- */

/* Sets and maps that there are for each family: those of IPv6 have a 6 behind their name. */
const char *name_of_family(struct builder *b, const char *name, uint8_t family);

struct set *add_set(struct builder *b, const char *name, const enum field *key, size_t n_key);
/* Sorted, and declared with room to grow. */
void finish_set(struct builder *b, struct set *set);
/* Finished, and part of the table. */
void stand_set(struct builder *b, const struct set *set);
/* The same, unless it holds nothing. */
void keep_set(struct builder *b, const struct set *set);
/* The last field of a verdict map's record. */
void put_verdict(struct builder *b, struct set *map, uint8_t *at, struct verdict verdict);

#define term_lookup(b, rule, kind, set_name, ...)                                                  \
	add_lookup((b), (rule), (kind), (set_name), (const uint8_t[]){__VA_ARGS__},                \
		   COUNT_OF(((const uint8_t[]){__VA_ARGS__})))

#define term_in(b, rule, ...)	  term_lookup(b, rule, TERM_LOOKUP, __VA_ARGS__)
#define term_not_in(b, rule, ...) term_lookup(b, rule, TERM_LOOKUP_NOT, __VA_ARGS__)

#define new_set(b, set_name, ...)                                                                  \
	add_set((b), (set_name), (const enum field[]){__VA_ARGS__},                                \
		COUNT_OF(((const enum field[]){__VA_ARGS__})))

/* Fields of a record, all of which is written: each gives the place of the next one. */
static inline uint8_t *put_ip(uint8_t *at, struct ip ip)
{
	if (ip.family == 4) { /* of known size: no call */
		memcpy(at, ip.bytes, 4);
		return at + 4;
	}
	memcpy(at, ip.bytes, ip_bits(ip) / 8);
	return at + ip_bits(ip) / 8;
}

/* Of an interval set. */
static inline uint8_t *put_prefix(uint8_t *at, struct prefix prefix)
{
	return put_ip(put_ip(at, prefix_first(prefix)), prefix_last(prefix));
}

static inline uint8_t *put_proto(uint8_t *at, uint8_t proto)
{
	memcpy(at, (const uint8_t[4]){proto}, 4);
	return at + 4;
}

static inline uint8_t *put_port(uint8_t *at, uint16_t port)
{
	memcpy(at, (const uint8_t[4]){(uint8_t)(port >> 8), (uint8_t)port}, 4);
	return at + 4;
}

static inline uint8_t *put_iface(uint8_t *at, const char *iface)
{
	memset(at, 0, 16);
	snprintf((char *)at, 16, "%s", iface);
	return at + 16;
}

/* FIELD_ETHER */
static inline uint8_t *put_mac(uint8_t *at, const uint8_t mac[6])
{
	memcpy(at, mac, 6);
	memset(at + 6, 0, 2);
	return at + 8;
}
