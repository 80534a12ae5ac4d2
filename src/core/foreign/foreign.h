/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of other people in nf_tables, as far as we must understand them: a verdict, a jump, an
 * interface, a mark, and whether the rule is ours. Everything else is not looked at.
 *
 * In this room:
 *     foreign.h    one rule of nf_tables
 *     plain.h      one rule of anybody, in plain terms
 *     plain_nft.h  how such a rule is read from nf_tables
 *     walls.h      chains of rules on the way of our flows
 *     handoff.h    Docker's iptables filter, and our rules in it
 *     bridges.h    Docker's nf_tables tables
 *     firewalld.h  firewalld's table
 *     openings.h   rules that open managed networks
 *     variant.h    the variants of iptables
 */
#pragma once

#include "core/foreign/variant.h"
#include "core/nft/nlattr.h"
#include "core/ruleset/ruleset.h"

#include <net/if.h>

struct foreign_rule {
	uint32_t verdict; /* NF_*, or NFT_JUMP … as unsigned; NF_MAX_VERDICT + 1: none */
	const char *target;
	char in[IFNAMSIZ], out[IFNAMSIZ]; /* interfaces that the rule names; "": any */
	bool not_from;			  /* iifname != … */
	const char *ours; /* the comment of a rule of ours; NULL: somebody else's rule */
	bool of_mark;
	uint32_t compared; /* the value compared last: our mark's bits */
	uint32_t n_exprs;  /* without counters and comments */
};

/* Reads one expression of a rule: its name and its attributes. False: there are no more. */
bool foreign_next_expr(struct attrs *rest, const char **name, struct attrs *data);
/* An interface's name out of a compared value. */
void foreign_take_name(char name[IFNAMSIZ], struct attrs value);
struct foreign_rule foreign_look_at(const struct rule *rule);
/* A verdict without conditions: every packet that reaches the rule gets it. */
bool foreign_is_bare(const struct rule *rule, uint32_t verdict);
