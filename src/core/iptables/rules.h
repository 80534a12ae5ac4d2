/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What our rules in one of the variants of iptables are (core/iptables/iptables.h). */
#pragma once

#include "base/arena.h"
#include "core/foreign/variant.h"

struct ipt_rule {
	const char *text; /* without chain and comment; an actual rule: the whole line */
	uint32_t hash;
	uint32_t origin; /* policy index, or NONE */
};

struct ipt_chain {
	enum variant variant;
	uint8_t family;	    /* of iptables: 4, of ip6tables: 6 */
	const char *table;  /* filter, nat, raw */
	const char *name;   /* HARBORWALL… */
	const char *parent; /* the foreign chain that jumps here; NULL: only our own do */
	bool behind;	    /* wanted behind the parent's foreign rules, not before them … */
	uint32_t n_before;  /* … which are so many; NONE: all of them */
	uint32_t n_jumps;   /* of an actual chain: number of jumps to it in that parent */
	bool on_top, last;  /* one of them is its first rule, one has no foreign rule behind it */
	LIST(struct ipt_rule) rules;
};
typedef LIST(struct ipt_chain) ipt_chains;

/* What a restore does, counted for people. */
struct ipt_changes {
	uint32_t added, rewritten, moved, removed; /* chains; moved: the jump to it */
};
