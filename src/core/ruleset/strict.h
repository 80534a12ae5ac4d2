/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict networks. Neighbours reach each other only through the forward hook (core/ports/ports.h),
 * where what no policy admits is dropped. What comes from such a bridge with an address that its
 * sender does not have is dropped before anything else sees it.
 */
#pragma once

#include "core/engine/engine.h"
#include "core/ruleset/flows.h"
#include "core/ruleset/ruleset.h"

/* The file's strict networks, with what the engine has there. bridges: of the file's networks. */
void strict_seal(struct flows *flows, struct arena *a, const struct config *config,
		 const char *const *bridges, const struct engine *engine);

/*
 * The wanted table with the senders that stand. Without an engine nobody knows who runs, and
 * whoever sat there stays.
 */
struct ruleset strict_keep_senders(struct arena *a, const struct ruleset *want,
				   const struct ruleset *have);
