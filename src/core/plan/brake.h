/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a new file takes away from what exists. A mistake (a missing section, a name misspelt
 * everywhere) looks like the wish to dismantle the host. So the daemon holds a file that takes too
 * much, until somebody accepts it. Pure.
 *
 * A container loses a connection where the file leaves it fewer of them than it has: one that only
 * gets another address, or moves to another network, loses nothing. A network is gone when the file
 * has neither its name nor its subnet. A policy is gone when the file has none with the same ends
 * (by their names or by their addresses), a protocol and a port in common with it. A prefix of a
 * list in a file is gone when that list does not cover it any more.
 */
#pragma once

#include "core/engine/engine.h"
#include "core/resolve/resolve.h"

/* A file and what its names mean. All-zero: no file. */
struct declared {
	const struct config *config;
	const struct resolution *resolution;
};

enum lost { LOST_CONNECTIONS, LOST_NETWORKS, LOST_POLICIES, LOST_LISTED, N_LOST };

struct loss {
	uint32_t stand, go;
	const char *examples; /* the first few that are lost: "api, db and 5 more" */
};

struct brake {
	struct loss losses[N_LOST];
};

/*
 * before: the file in force, or empty. What that file does not declare is on its way out anyway and
 * no loss. If the engine is unknown, what that file declares counts as existing.
 */
void brake_look(struct brake *b, struct arena *a, const struct engine *engine,
		const struct declared *before, const struct declared *wanted);
/* More than half: of the containers or networks at least 4, of the policies or listed prefixes 20.
 */
bool brake_holds(const struct brake *b);
/* "5 of 6 containers would be disconnected (api, db and 3 more), …" */
const char *brake_text(const struct brake *b, struct arena *a);
