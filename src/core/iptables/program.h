/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same program as core/program/program.h for iptables: the chains of one variant, for the flows
 * of one family. Pure.
 */
#pragma once

#include "core/flows/flows.h"
#include "core/flows/hooks.h"
#include "core/iptables/rules.h"

/*
 * Here every source of a policy and every address of its subject becomes a rule, and the first
 * packet of a connection is compared with one rule after the other. So this is the maximum.
 */
enum { IPT_MOST_ADMITTED = 100000 };
/*
 * Number of rules in the host's chain that admit something; *worst: the policy with the most of
 * them.
 */
uint64_t ipt_count_admitted(const struct flows *flows, const struct grant **worst);

/* Appends chains; none if no flow is of this family. hooks: for family 6, those of ip6tables. */
void ipt_program_host(ipt_chains *chains, struct arena *a, enum variant variant, uint8_t family,
		      const struct flows *flows, const struct hooks *hooks);
void ipt_program_container(ipt_chains *chains, struct arena *a, enum variant variant,
			   uint8_t family, const struct flows *flows, const struct hooks *hooks);
