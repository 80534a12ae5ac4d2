/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our rules in one variant of iptables, as types (core/iptables/iptables.h). */
#pragma once

#include "base/arena.h"
#include "core/foreign/variant.h"

struct ipt_rule {
	const char *text; /* wanted: without chain and comment; actual: the whole line */
	uint32_t hash;
	uint32_t origin; /* policy index, or NONE */
};

struct ipt_chain {
	enum variant variant;
	uint8_t family;	    /* 4: of iptables, 6: of ip6tables */
	const char *table;  /* filter, nat, raw */
	const char *name;   /* name: HARBORWALL… */
	const char *parent; /* the foreign chain that jumps here; NULL: only our own chains do */
	bool behind;	    /* the jump belongs after the parent's foreign rules, not before them */
	uint32_t n_before;  /* number of these foreign rules; NONE: all of them */
	uint32_t n_jumps;   /* actual chain: number of jumps to it in its parent */
	bool on_top, last;  /* one jump is the parent's first rule; no foreign rule follows one */
	LIST(struct ipt_rule) rules;
};
typedef LIST(struct ipt_chain) ipt_chains;

/* One change of a restore, for the plan. */
struct ipt_changes {
	uint32_t added, rewritten, moved, removed; /* chains; moved: the jump to a chain */
};
