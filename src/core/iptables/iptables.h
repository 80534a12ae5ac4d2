/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other language of rules: chains of our own in the tables of iptables, each rule a line as
 * iptables-restore(8) takes it. What stands is read from iptables-save(8): only our chains and the
 * jumps to them, and of our rules only the hash in their comment, for the tools print a rule in
 * their own way. Pure text; edge/firewall/iptables.h runs the tools.
 *
 * In this room:
 *     iptables.h   text: decode, diff, print
 *     rules.h      types
 *     program.h    flows and hooks in, chains out
 *     writer.h     what the parts of the program share
 *     leftovers.h  rules of earlier tools that say what a policy says
 */
#pragma once

#include "base/buf.h"
#include "core/flows/flows.h"
#include "core/iptables/rules.h"

/*
 * A rule without "-A CHAIN" and comment: "-s 10.0.0.2/32 -j ACCEPT". Adds the comment with its
 * hash.
 */
void ipt_add_rule(struct ipt_chain *chain, struct arena *a, uint32_t origin, const char *format,
		  ...) PRINTF_LIKE(4, 5);

/* The hash in the comment of a rule of ours; 0: not our rule. */
uint32_t ipt_hash_of_line(const char *line);

/* Adds our chains from the output of iptables-save or ip6tables-save of a variant. */
void ipt_decode(ipt_chains *chains, struct arena *a, enum variant variant, uint8_t family,
		const char *save);

/* Appends the flows that chains of ours, wanted or read back, admit and translate. */
void ipt_read_flows(struct flows *flows, struct arena *a, const ipt_chains *chains);

/*
 * Appends the input of iptables-restore --noflush (family 6: ip6tables-restore) that turns the
 * variant's chains of this family in `have` into those in `want`; nothing if they are equal. Chains
 * that differ are rewritten. Other chains are not mentioned.
 */
void ipt_diff(struct buf *out, struct ipt_changes *changes, enum variant variant, uint8_t family,
	      const ipt_chains *want, const ipt_chains *have);

/* True if some of these chains are of this variant and family. */
bool ipt_has(const ipt_chains *chains, enum variant variant, uint8_t family);

/*
 * Prints all chains as if none existed, for people and for golden files. The chains of IPv6 come
 * after a line that names the tool for them.
 */
void ipt_print(struct buf *out, const ipt_chains *chains);
