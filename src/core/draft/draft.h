/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A networks.json of what an engine has: its networks and its containers at their addresses, as
 * they are, and policies for connections that were seen. Pure.
 *
 * In this room:
 *     draft.h  all of it
 */
#pragma once

#include "base/buf.h"
#include "core/engine/details.h"
#include "core/plan/revoke.h"

/* Connections between two ends by one port, as a policy would name them. */
struct seen_flow {
	const char *from, *to; /* services, else containers */
	bool of_service;       /* to is a service */
	uint32_t members;      /* pairs of containers that the names mean */
	uint8_t proto;
	uint16_t port; /* 0: the protocol has none */
	uint32_t times;
};

struct draft {
	struct arena *a;
	const struct engine *engine;
	const struct engine_details *details;
	bool learned; /* somebody watched */
	LIST(struct seen_flow) flows;
	LIST(struct seen_connection {
		struct connection tuple;
		uint16_t sport;
	})
	known; /* each was counted once */
	struct hash_index by_tuple;
};

/* One that lives: counted if it goes from a container to one of another network, and is new. */
void draft_see(struct draft *d, const struct connection *c, uint16_t sport);
void draft_print(struct buf *out, struct draft *d);
