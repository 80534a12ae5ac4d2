/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Adds up the kernel's counters by policy. A connection counts once: where a policy admits it (in
 * the host's forward path), where a container translates it, or where it is masqueraded. Pure.
 */
#pragma once

#include "core/config/config.h"
#include "core/iptables/rules.h"
#include "core/ruleset/ruleset.h"

struct tally {
	const struct config *config;
	uint64_t *packets; /* of each policy */
	bool host;	   /* which namespace is being read: the host's or a container's */
	/* where to look for the next rule of this chain, because rules come in order */
	const struct chain *chain;
	uint32_t next;
};

/* Takes one message of a dump of our table's rules (NEWRULE) or elements (NEWSETELEM). */
void tally_message(struct tally *t, const struct ruleset *want, const void *nlmsg);
/* Takes the output of iptables-save -c (family 6: ip6tables-save -c) for a variant. */
void tally_save(struct tally *t, const ipt_chains *want, enum variant variant, uint8_t family,
		const char *save);
