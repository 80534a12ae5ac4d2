/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packet filter program: flows in, one nf_tables table out. Pure. */
#pragma once

#include "core/engine/engine.h"
#include "core/flows/flows.h"
#include "core/flows/hooks.h"
#include "core/ruleset/ruleset.h"

/* The table of the host's namespace, or of a container's. Exists only if there is something to say.
 */
void program_host(struct ruleset *rs, struct arena *a, const struct flows *flows,
		  const struct hooks *hooks);
/*
 * The host's table of family bridge, for strict networks and those with isolation audit; ports: the
 * interfaces that stand at the strict ones' bridges now, sorted.
 */
void program_bridge(struct ruleset *rs, struct arena *a, const struct flows *flows,
		    const struct hooks *hooks, const interfaces *ports);
/* What is translated in a container keeps the accept bit in its connection mark there. */
void program_container(struct ruleset *rs, struct arena *a, const struct flows *flows,
		       const struct hooks *hooks);
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
