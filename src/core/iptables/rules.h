/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The variants of iptables, and what our rules in one of them are (core/iptables/iptables.h). */
#pragma once

#include "base/arena.h"

enum variant {
	VARIANT_NONE,	/* no iptables filter table in play */
	VARIANT_NFT,	/* iptables-nft: nf_tables tables `ip filter`, `ip raw` */
	VARIANT_LEGACY, /* iptables-legacy: x_tables */
};
extern const char *const variant_names[];

struct ipt_rule {
	const char *text; /* without chain and comment; of what was read, the whole line */
	uint32_t hash;
	uint32_t origin; /* policy index, or NONE */
};

struct ipt_chain {
	enum variant variant;
	const char *table;  /* filter, nat, raw */
	const char *name;   /* HARBORWALL… */
	const char *parent; /* the foreign chain that jumps here; NULL: only our own do */
	bool behind;	    /* wanted behind the parent's foreign rules, not before them … */
	uint32_t n_before;  /* … which are so many; NONE: all of them */
	uint32_t n_jumps;   /* of what was read: how many jumps in that parent, */
	bool on_top, last;  /* one of them is its first rule, one has no foreign rule behind it */
	LIST(struct ipt_rule) rules;
};
typedef LIST(struct ipt_chain) ipt_chains;

/* A rule that bears no mark and says what a policy says (core/iptables/leftovers.h). */
struct leftover {
	enum variant variant;
	const char *table;
	const char *rule; /* as iptables-save prints it: "-A DOCKER-USER -s …" */
	uint32_t origin;  /* the policy that says the same */
};
typedef LIST(struct leftover) leftover_list;

/* What a restore does, counted for people. */
struct ipt_changes {
	uint32_t added, rewritten, moved, removed; /* chains; moved: the jump to it */
};
