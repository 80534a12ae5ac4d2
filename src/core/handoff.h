/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What we must understand of the iptables filter that Docker uses, and the one rule of ours in it:
 *     -m mark --mark BITS/BITS -m comment --comment "harborwall: …" -j ACCEPT
 * In two languages: nf_tables expressions as iptables-nft writes them, and iptables-save text.
 * Pure; edge/handoff.h reads and sends.
 */
#pragma once

#include "base/buf.h"
#include "core/nft.h"
#include "core/state.h"

/* What stands in a variant's filter and raw tables. */
struct filter_view {
	bool exists;	       /* the variant has a filter table with a FORWARD chain */
	bool docker_user;      /* chain DOCKER-USER is there and FORWARD jumps to it */
	bool docker_user_late; /* … after Docker's isolation, whose drops are final by then */
	bool docker_isolation; /* FORWARD jumps to DOCKER-ISOLATION-STAGE-1 or DOCKER-FORWARD */
	bool drops_by_bridge;  /* … to DOCKER-FORWARD (>= 28), whose drops need no policy */
	bool raw_drops;	       /* raw PREROUTING drops what does not come from an interface */
	bool forward_drop;     /* policy of FORWARD */
	LIST(struct handoff) handoffs; /* ours that were found, one entry per chain */
};

void handoff_view_nft(struct filter_view *view, struct arena *a, const struct ruleset *filter,
		      const struct ruleset *raw);
/* Tables as iptables-save prints them; NULL: not there. */
void handoff_view_text(struct filter_view *view, struct arena *a, const char *filter,
		       const char *raw);

/*
 * What stands closes bridges to other bridges and to the outside. Up to 27 that takes the policy of
 * FORWARD, which Docker sets only if it turned forwarding on itself.
 */
bool handoff_view_closes(const struct filter_view *view);

/* Docker's own nf_tables backend (>= 29): table `ip docker-bridges`. */
struct bridges_view {
	bool drops;	 /* its forward chain stands */
	bool raw_drops;	 /* it drops what does not come from a bridge that is trusted */
	bool takes_mark; /* every bridge accepts this mark (dockerd --bridge-accept-fwmark) */
};
/* Chains of it whose rules are wanted: true for those that a view needs. */
bool bridges_chain_matters(const char *chain);
void bridges_view(struct bridges_view *view, const struct ruleset *table, uint32_t mark);

/*
 * Removes every copy of ours from the chain, and puts one at its top if `put`. Table and base chain
 * are made where they are absent. table is what was read of handoff->table.
 */
void handoff_encode_nft(struct nft_batch *batch, struct arena *a, const struct ruleset *table,
			const struct handoff *handoff, bool put);
/* The same as input for iptables-restore --noflush; save is what iptables-save said, or "". */
void handoff_encode_text(struct buf *out, const char *save, const struct handoff *handoff,
			 bool put);
