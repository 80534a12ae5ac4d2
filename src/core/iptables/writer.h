/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the program share: program.c (filter and raw), nat.c (translations), again.c
 * (established packets), egress.c (egress deny and audit), logged.c (what is logged).
 */
#pragma once

#include "core/flows/flows.h"
#include "core/flows/hooks.h"
#include "core/iptables/rules.h"

/* What is admitted, as one rule says it. */
struct admitted {
	const struct peer *src, *dst;
	const char *iface; /* by which it comes in; NULL: any */
	struct traffic match;
	uint32_t origin;
};

struct writer {
	ipt_chains *chains;
	struct arena *a;
	enum variant variant;
	uint8_t family;
	const struct hooks *hooks;
	bool split; /* what comes from outside is accepted behind foreign rules */
	LIST(struct admitted) pairs;
};

/* Valid until the next one is added. */
struct ipt_chain *ipt_add_chain(struct writer *w, const char *table, const char *name,
				const char *parent);

/* Pieces of rules, each with a blank at its end. */
#define IPT_UNCONFIRMED                                                                            \
	"-m conntrack ! --ctstatus CONFIRMED " /* the first packet of a connection */
const char *ipt_address(struct writer *w, const char *flag, struct prefix prefix);
const char *ipt_interface(struct writer *w, const char *flag, const char *name);
const char *ipt_traffic(struct writer *w, const char *flag, struct traffic match);
/* The connection mark says that we admitted it. */
const char *ipt_accept_bit(struct writer *w);

/* A source that is borrowed goes one way, the honest (where several are at home there) the other.
 */
void ipt_tell_borrowed(struct writer *w, struct ipt_chain *chain, const struct flows *flows,
		       const char *borrowed, const char *honest);
void ipt_spare_neighbours(struct writer *w, struct ipt_chain *chain);

/* The ports as the target sees them. */
struct traffic ipt_at_target(const struct translation *t);

/* Of the table nat; host: the host's own namespace, else a container's. */
void ipt_write_prerouting(struct writer *w, const struct flows *flows, bool host);
void ipt_write_output(struct writer *w, const struct flows *flows);
void ipt_write_postrouting(struct writer *w, const struct flows *flows, bool host);

/* The chain of established packets, and those that it leads to. */
void ipt_write_again(struct writer *w, const struct flows *flows);

/* Of the forward path; and all other chains of egress deny and audit. */
void ipt_deny_egress(struct writer *w, struct ipt_chain *chain, const struct flows *flows);
void ipt_write_egress(struct writer *w, const struct flows *flows);

/* A bounded report, if the tools can log. match: a piece of a rule. */
void ipt_report(struct writer *w, struct ipt_chain *chain, const char *match, uint32_t group,
		const char *prefix);
/* New connections of policies with "log": in the chain of those with a genuine source; the rest. */
void ipt_log_fresh(struct writer *w, struct ipt_chain *chain, const struct flows *flows);
void ipt_write_logged(struct writer *w, const struct flows *flows);

/* The bit of a packet's mark that says: egress deny would stop it. */
static inline uint32_t ipt_note(const struct writer *w)
{
	return w->hooks->raw;
}
void ipt_forget_note(struct writer *w, struct ipt_chain *chain, const char *match);
/* In the table nat, at the top of our chains: what audited networks begin; and the chains for it.
 */
void ipt_hear_asked(struct writer *w, struct ipt_chain *chain, const struct flows *flows);
void ipt_hear_forwarded(struct writer *w, struct ipt_chain *chain, const struct flows *flows);
void ipt_write_heard(struct writer *w, const struct flows *flows);
