/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the packet filter program share: terms.c (rules and sets, piece by piece),
 * nat.c (translations), closing.c, egress.c and strict.c (what is dropped), program.c (what may
 * pass, and the tables).
 */
#pragma once

#include "core/ruleset/flows.h"
#include "core/ruleset/hooks.h"
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

struct builder {
	struct ruleset *rs;
	struct arena *a;
	const struct hooks *hooks;
	bool counted;	   /* what lets connections through counts them */
	struct ends *ends; /* sets that stand (core/ruleset/ends.h) */
	uint32_t keeps;	   /* bit of the connection mark for what is translated here; 0: none */
};

/* Of a family of rules, 4 or 6: the field of its addresses. */
static inline enum field address_field(uint8_t family)
{
	return family == 6 ? FIELD_IP6 : FIELD_IP4;
}

/* Which packets are asked. */
enum way {
	WAY_NEW,   /* the first one of a connection */
	WAY_ON,	   /* later ones, and all of them before Docker's raw drops: policies do not count
		      these */
	WAY_REPLY, /* what comes back: source and destination change places */
	WAY_LOG,   /* the first one again: is it logged? */
	WAY_OUT,   /* the first one of a connection that egress deny stops */
	N_WAYS,
};

struct way_words {
	const char *prefix; /* of names of chains and maps */
	enum load source, destination, port, interface;
	enum term_kind source_is, destination_is, port_is, interface_is;
	bool counts; /* where policies count at all */
	/* The chains where packets go that are found; of those that are translated. */
	const char *target, *translated;
};
extern const struct way_words ways[N_WAYS];

/* The chain where packets go that are let through. */
#define ADMIT "admit"
/* The chains where they are logged. */
#define LOG_CHAIN	     "report"
#define LOG_TRANSLATED_CHAIN "report_translated"
/* … and those that are as free as without egress deny. */
#define LIFT "lift"
/* The chain where borrowed sources end of networks with egress deny or audit. */
#define BORROWED "borrowed"

/* --- rules, term by term; what would match everything adds none --- */

struct rule *add_rule(struct builder *b, struct chain *chain, uint8_t family, const char *comment,
		      uint32_t origin);
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
/* One rule for each of a few, one for a list, one for anybody (NULL): how many; and of rule i the
 * end. */
uint32_t n_end_rules(const struct peers *peers);
void term_end(struct builder *b, struct rule *rule, enum term_kind term, enum load load,
	      const struct peers *peers, uint32_t i, const char *prefix, const char *name);
void term_ct_mark(struct builder *b, struct rule *rule, uint32_t number, uint32_t mask);
/* At the end of a rule: what the limit holds back goes on as if the rule were not there. */
void term_log(struct builder *b, struct rule *rule, uint32_t group, const char *prefix);
/* Where what lets connections through is counted. */
void term_count(struct builder *b, struct rule *rule);
/* The connection mark says that we admitted it. */
void term_admitted(struct builder *b, struct rule *rule);
/* What we admitted once, and no policy admits any more, ends. */
void drop_revoked(struct builder *b, struct chain *chain);
/* loads: enum load, n of them. */
void add_lookup(struct builder *b, struct rule *rule, enum term_kind kind, const char *name,
		const uint8_t *loads, size_t n);
/* type NULL: a regular chain. */
struct chain *add_chain(struct builder *b, const char *name, const char *type, uint32_t hook,
			int32_t priority);

/* --- sets and their elements --- */

/* Sets and maps that there are for each family: those of IPv6 have a 6 behind their name. */
const char *name_of_family(struct builder *b, const char *name, uint8_t family);

/* The set of a list that policies name, the same for all of them. prefix: of a new one's name. */
const char *set_of_list(struct builder *b, const struct peers *peers, const char *prefix,
			const char *name);

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

/* --- what may pass --- */

/* A policy's flows that are no pair of addresses: core/ruleset/groups.h. */
struct grouped;
typedef LIST(struct grouped) grouped_list;

/* Sets of pairs of addresses; what is more than few pairs is added to `grouped`. */
void build_pairs(struct builder *b, const struct grant *grants, uint32_t n, enum way way,
		 grouped_list *grouped);
/* One rule per set of pairs: what it finds goes to the target. */
void lookup_pairs(struct builder *b, struct chain *chain, enum set_role role, enum way way,
		  const char *target);
/* A source address that is borrowed ends in this verdict; to: the chain of TERM_GOTO, else NULL. */
void end_borrowed(struct builder *b, struct chain *chain, bool ipv6, enum term_kind verdict,
		  const char *to);
/* The beginning of such a rule; set: sources of one family, or bridges. The verdict follows. */
struct rule *add_borrowed(struct builder *b, struct chain *chain, uint8_t family, const char *set,
			  uint8_t load);
void accept_neighbours(struct builder *b, struct chain *chain);
/* What policies admit has the accept bit, and goes on to the next hook. */
void accept_admitted(struct builder *b, struct chain *chain);

/* Grants of types of ICMP, which no set of pairs or group has: core/ruleset/types.c. False: none.
 */
bool build_types(struct builder *b, const char *name, const struct grant *grants, uint32_t n,
		 enum way way, const char *target);
/* What is ICMP goes through that chain. */
void lookup_types(struct builder *b, struct chain *chain, const char *name);

/* Rules at the end of the forward hook, for networks that no rule of Docker's closes. */
void close_networks(struct builder *b, struct chain *chain, const struct flows *flows);

/* --- networks with egress deny or audit --- */

/* Their chains; the rules of the forward hook that lead there, for what no policy admitted. */
void build_egress(struct builder *b, const struct flows *flows);
void deny_egress(struct builder *b, struct chain *chain, const struct flows *flows);

/*
 * What comes here is reported, and goes on; sources share the reports of a second. In a table of
 * family bridge, too.
 */
void log_in_shares(struct builder *b, struct chain *chain, bool ipv6, const char *prefix);

/* --- strict.c --- */

/* Chains for what comes from strict networks, and for what this host begins there. */
void build_strict(struct builder *b, const struct flows *flows);
/* A new connection that leads to nobody of the file, into a strict network. */
void refuse_undeclared(struct builder *b, struct chain *chain, const struct flows *flows);
/* What leads into a strict network, behind what is admitted. */
void seal_networks(struct builder *b, struct chain *chain, const struct flows *flows);
/* In the raw chain: what stays within a strict network is marked without a look-up. */
void pass_neighbours(struct builder *b, struct chain *chain, const struct flows *flows);
/* Chains behind everybody's filters, of networks with isolation audit. */
void build_watched(struct builder *b, const struct flows *flows);

/* --- translations --- */

/* Sets for translations that are interface, protocol and port, and nothing else. */
void add_dnat_elements(struct builder *b, const struct flows *flows);
void add_translated(struct builder *b, const struct flows *flows);
/* The chain that translates; the sets stand by then. */
void build_dnat(struct builder *b, const struct flows *flows);
/* … and what this host itself begins. */
void build_own(struct builder *b, const struct flows *flows);
/* The set that says what was translated; where there is any. */
void add_forwarded(struct builder *b, const struct flows *flows, enum way way);
/* Rules that admit what was translated, behind `ct status dnat`. set: its name on this way. */
void build_forwarded(struct builder *b, struct chain *chain, const struct flows *flows,
		     const char *set, enum way way);
/* Rules of postrouting, in this order. */
void keep_clients(struct builder *b, struct chain *chain, const struct flows *flows);
void masquerade_translated(struct builder *b, struct chain *chain, const struct flows *flows);
void masquerade_hairpins(struct builder *b, struct chain *chain, const struct flows *flows);
void masquerade_policies(struct builder *b, struct chain *chain, const struct flows *flows);
void keep_sources(struct builder *b, struct chain *chain);
