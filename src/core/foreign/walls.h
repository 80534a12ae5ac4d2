/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What other people's rules do to packets on the way that our flows take. An accept of ours ends
 * only our own chain: a drop anywhere else is final. A wall is one chain that such packets pass,
 * with the chains that it leads to, as far as they are understood (core/foreign/plain.h). Pure.
 */
#pragma once

#include "core/config/config.h"
#include "core/foreign/plain.h"
#include "core/foreign/variant.h"

struct wall {
	enum variant variant; /* the tool that shows it; VARIANT_NONE: nft */
	uint8_t family;	      /* NFPROTO_* */
	const char *table, *chain;
	uint32_t hook; /* as linux/netfilter.h numbers them */
	int32_t priority;
	bool drops;	     /* it drops what it does not accept */
	bool unread;	     /* too many rules to read */
	bool before_ours;    /* a rule of ours follows in the same chain */
	bool from_outside;   /* and that rule is only for traffic from outside */
	plain_list rules;    /* rules of the chain itself, before ours */
	plain_chains chains; /* chains that they jump to, and maybe others */
};
typedef LIST(struct wall) wall_list;

/* --- nf_tables --- */

/* A chain, as the kernel lists it. */
struct listed_chain {
	uint8_t family;
	const char *table, *name;
	bool base;
	bool drops; /* policy of a base chain; so is what follows */
	uint32_t hook;
	int32_t priority;
	uint32_t use; /* number of rules in it and jumps to it */
};
typedef LIST(struct listed_chain) listed_chains;

/* Takes a chain message of a dump (NFT_MSG_NEWCHAIN). */
void walls_take_chain(listed_chains *chains, struct arena *a, const void *nlmsg);
/*
 * Our flows pass it, it may stop something, and it is somebody's whom nobody here understands
 * better: not ours, Docker's or firewalld's.
 */
bool walls_pass(const struct listed_chain *chain);
enum { MAX_WALLS = 16, MAX_CHAINS = 256 }; /* of a namespace; of a table: more are not looked at */
/* Its table has so few chains and rules that they can be looked at. */
bool walls_table_is_small(const listed_chains *chains, const struct listed_chain *chain);
/* table: as it was read; NULL: not read, because it has too many rules. */
struct wall wall_of_chain(const struct listed_chain *chain, struct arena *a,
			  const struct ruleset *table);

/* --- the chains that hold ours --- */

/*
 * Foreign rules before ours: in FORWARD before its jump to DOCKER-USER, in DOCKER-USER, and in raw
 * PREROUTING before Docker's own drops. family: 4, or 6 for ip6tables.
 */
void walls_before_ours(wall_list *walls, enum variant variant, uint8_t family,
		       const plain_chains *filter, const plain_chains *raw, struct arena *a);
/* Adds the chains that these rules jump to and that are not read yet; false: none. */
bool walls_lead_on(name_list *names, struct arena *a, const struct ruleset *filter);

/* Of what iptables-save printed of two tables ("": not there): these, and FORWARD as a whole. */
void walls_of_save(wall_list *walls, enum variant variant, uint8_t family, struct arena *a,
		   const char *filter, const char *raw);

/* --- a packet --- */

enum passing { PASSES, MAY_BE_STOPPED, IS_STOPPED };

struct passage {
	enum passing passing;
	const struct plain *by; /* the rule that stops it; NULL: the policy, or unknown */
	const char *chain;	/* the chain that contains it */
	uint32_t looks;		/* rules compared so far */
};

struct passage wall_lets_pass(const struct wall *wall, const struct packet *packet);
