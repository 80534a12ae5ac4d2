/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict networks, and those with isolation audit: who sits there, the chains for them in the
 * host's table, the host's table of family bridge. Pure.
 *
 * In this room:
 *     senders.h  who sits where
 *     strict.h   the chains, and the table of family bridge
 *     impl.h     what both kinds of networks share
 */
#pragma once

#include "core/ruleset/builder.h"

/* --- chains of the host's table --- */

/* Chains for what comes from strict networks, and for what this host begins there. */
void build_strict(struct builder *b, const struct flows *flows);
/* A new connection that leads to nobody of the file, into a strict network. */
void refuse_undeclared(struct builder *b, struct chain *chain, const struct flows *flows);
/* What leads into a strict network, behind what is admitted. */
void seal_networks(struct builder *b, struct chain *chain, const struct flows *flows);
/* In the raw chain: what stays within a strict network is marked without a look-up. */
void pass_neighbours(struct builder *b, struct chain *chain, const struct flows *flows);
/* Chains behind everybody's filters, of networks with isolation audit. */
void build_watched(struct builder *b, const struct flows *flows);

/* --- the table of family bridge --- */

/*
 * The host's table of family bridge, for strict networks and those with isolation audit; ports: the
 * interfaces that stand at the strict ones' bridges now, sorted.
 */
void program_bridge(struct ruleset *rs, struct arena *a, const struct flows *flows,
		    const struct hooks *hooks, const interfaces *ports);
