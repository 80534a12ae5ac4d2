/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who sits where in networks with isolation strict or audit. Pure. */
#pragma once

#include "core/engine/engine.h"
#include "core/flows/flows.h"
#include "core/ruleset/ruleset.h"

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
