/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel counted, added up by policy. A connection counts once: where policies admit it
 * (the host's forward path), a translation inside a container there, masquerading where it is done.
 * Pure: what was dumped and what is wanted in, numbers out.
 */
#pragma once

#include "core/config/config.h"
#include "core/iptables/rules.h"
#include "core/ruleset/ruleset.h"

struct tally {
	const struct config *config;
	uint64_t *packets; /* of each policy */
	bool host;	   /* which namespace is being read */
	/* rules come in their order: where the next one of this chain is looked for */
	const struct chain *chain;
	uint32_t next;
};

/* One message of a dump of rules (NEWRULE) or elements (NEWSETELEM) of our table. */
void tally_message(struct tally *t, const struct ruleset *want, const void *nlmsg);
/* What iptables-save -c printed for a variant. */
void tally_save(struct tally *t, const ipt_chains *want, enum variant variant, const char *save);
