/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the packet filter program share: nat.c (translations), closing.c and egress.c
 * (what is dropped), program.c (what may pass, and the tables).
 */
#pragma once

#include "core/ruleset/builder.h"

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
	const char *prefix;  /* of names of sets, chains and maps */
	enum set_role pairs; /* of its sets of pairs of addresses */
	enum load source, destination, port, interface;
	enum term_kind source_is, destination_is, port_is, interface_is;
	bool counts; /* where policies count at all */
	/* The chains where packets go that are found; of those that are translated. */
	const char *target, *translated;
};
extern const struct way_words ways[N_WAYS];

/* Policies count what they let through, on this way. */
static inline bool way_counts(const struct builder *b, enum way way)
{
	return b->counted && ways[way].counts;
}

/* Replies have no sets of their own: they are looked up in those of what went the other way. */
static inline enum way way_of_sets(const struct builder *b, enum way way)
{
	return way != WAY_REPLY ? way : b->counted ? WAY_ON : WAY_NEW;
}

/* The chain where packets go that are let through. */
#define ADMIT "admit"
/* The chains where they are logged. */
#define LOG_CHAIN	     "report"
#define LOG_TRANSLATED_CHAIN "report_translated"
/* … and those that are as free as without egress deny. */
#define LIFT "lift"
/* The chain where borrowed sources end of networks with egress deny or audit. */
#define BORROWED "borrowed"

/* --- what may pass --- */

/* A policy's flows that are no pair of addresses: core/program/groups.h. */
struct grouped;
typedef LIST(struct grouped) grouped_list;

/* Sets of pairs of addresses; what is more than few pairs is added to `grouped`. */
void build_pairs(struct builder *b, const grant_list *grants, enum way way, grouped_list *grouped);
/* One rule per set of pairs: what it finds goes to the target. */
void lookup_pairs(struct builder *b, struct chain *chain, enum way way, const char *target);
void accept_neighbours(struct builder *b, struct chain *chain);

/* Grants of types of ICMP, which no set of pairs or group has: core/program/types.c. False: none.
 */
bool build_types(struct builder *b, const char *name, const grant_list *grants, enum way way,
		 const char *target);
/* What is ICMP goes through that chain. */
void lookup_types(struct builder *b, struct chain *chain, const char *name);

/* Rules at the end of the forward hook, for networks that no rule of Docker's closes. */
void close_networks(struct builder *b, struct chain *chain, const struct flows *flows);

/* --- networks with egress deny or audit --- */

/* Their chains; the rules of the forward hook that lead there, for what no policy admitted. */
void build_egress(struct builder *b, const struct flows *flows);
void deny_egress(struct builder *b, struct chain *chain, const struct flows *flows);

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
/* Rules that admit what was translated, behind `ct status dnat`. */
void build_forwarded(struct builder *b, struct chain *chain, const struct flows *flows,
		     enum way way);
/* Rules of postrouting, in this order. */
void keep_clients(struct builder *b, struct chain *chain, const struct flows *flows);
void masquerade_translated(struct builder *b, struct chain *chain, const struct flows *flows);
void masquerade_hairpins(struct builder *b, struct chain *chain, const struct flows *flows);
void masquerade_policies(struct builder *b, struct chain *chain, const struct flows *flows);
void keep_sources(struct builder *b, struct chain *chain);
