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
	bool docker_isolation; /* FORWARD jumps to DOCKER-ISOLATION-STAGE-1 or DOCKER-FORWARD */
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
 * Removes every copy of ours from the chain, and puts one at its top if `put`. Table and base chain
 * are made where they are absent. table is what was read of handoff->table.
 */
void handoff_encode_nft(struct nft_batch *batch, struct arena *a, const struct ruleset *table,
			const struct handoff *handoff, bool put);
/* The same as input for iptables-restore --noflush; save is what iptables-save said, or "". */
void handoff_encode_text(struct buf *out, const char *save, const struct handoff *handoff,
			 bool put);
