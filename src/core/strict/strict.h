/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict networks, and those with isolation audit: who sits there, the chains for them in the
 * host's table, the host's table of family bridge. Pure.
 *
 * In this room:
 *     strict.h  all of it
 */
#pragma once

#include "core/engine/engine.h"
#include "core/ruleset/builder.h"

/* --- who sits where --- */

/*
 * The file's networks with isolation strict or audit, with what the engine has there. bridges: of
 * the file's networks.
 */
void strict_seal(struct flows *flows, struct arena *a, const struct config *config,
		 const char *const *bridges, const struct engine *engine);

/*
 * The wanted table with the senders that stand. Without an engine nobody knows who runs, and
 * whoever sat there stays.
 */
struct ruleset strict_keep_senders(struct arena *a, const struct ruleset *want,
				   const struct ruleset *have);

/* --- chains of the host's table --- */

/* Chains for what comes from strict networks, and for what this host begins there. */
void build_strict(struct builder *b, const struct flows *flows);
/* A new connection that leads to nobody of the file, into a strict network. */
void refuse_undeclared(struct builder *b, struct chain *chain, const struct flows *flows);
/* What leads into a strict network, behind what is admitted. */
void seal_networks(struct builder *b, struct chain *chain, const struct flows *flows);
/* In the raw chain: what stays within a strict network is not looked up. */
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
