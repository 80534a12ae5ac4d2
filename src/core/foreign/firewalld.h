/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What firewalld's own table (`inet firewalld`, its nftables backend) lets through the host. It
 * refuses what no zone or policy of it accepts, behind every other filter, and no mark of ours
 * helps: all that can be done is to say so. Translated and established flows it accepts by itself.
 * With firewalld's iptables backend our accept comes first and is final.
 */
#pragma once

#include "core/flows/interfaces.h"
#include "core/ruleset/ruleset.h"

struct firewalld {
	bool stands;  /* firewalld runs here, with whatever backend */
	bool refuses; /* its own table exists, and we could decode what is below */
	bool lets_all_out, lets_all_in; /* for interfaces that it does not name */
	interfaces lets_out;		/* their zone accepts everything that comes from them */
	interfaces lets_in;		/* a policy accepts everything that goes to them */
	/* IPv6_rpfilter=yes: it drops what it would answer by another interface */
	bool filters_sources6;
};

/* Chains of the table whose rules we read. */
bool firewalld_chain_matters(const char *chain);
void firewalld_view(struct firewalld *view, struct arena *a, const struct ruleset *table);
/* in NULL: from outside, by an unknown interface. */
bool firewalld_forwards(const struct firewalld *view, const char *in, const char *out);
