/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same program in the other language: chains of one variant of iptables, for what the flows
 * have of one family. Pure.
 */
#pragma once

#include "core/iptables/rules.h"
#include "core/ruleset/program.h"

/*
 * Here every source of a policy and every address of its subject is a rule of its own, which the
 * first packet of a connection is compared with one by one: so many are taken.
 */
enum { IPT_MOST_ADMITTED = 100000 };
/* How many rules admit something in the host's chain; *worst: the policy with the most of them. */
uint64_t ipt_count_admitted(const struct flows *flows, const struct grant **worst);

/* Appended; nothing where the flows have nothing of this family. hooks: of ip6tables for 6. */
void ipt_program_host(ipt_chains *chains, struct arena *a, enum variant variant, uint8_t family,
		      const struct flows *flows, const struct hooks *hooks);
void ipt_program_container(ipt_chains *chains, struct arena *a, enum variant variant,
			   uint8_t family, const struct flows *flows, const struct hooks *hooks);
