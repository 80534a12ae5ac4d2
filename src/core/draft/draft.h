/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes a networks.json from a running engine: its networks, its containers with their addresses,
 * and policies for connections that were seen. Pure.
 *
 * In this room:
 *     draft.h  all of it
 */
#pragma once

#include "base/buf.h"
#include "core/engine/details.h"
#include "core/plan/revoke.h"

/* Connections between two ends to one port, as a policy would name them. */
struct seen_flow {
	const char *from, *to; /* a service, otherwise a container */
	bool of_service;       /* to is a service */
	uint32_t members;      /* pairs of containers that the two names mean */
	uint8_t proto;
	uint16_t port; /* 0: the protocol has none */
	uint32_t times;
};

struct draft {
	struct arena *a;
	const struct engine *engine;
	const struct engine_details *details;
	bool learned; /* --learn was given */
	LIST(struct seen_flow) flows;
	LIST(struct seen_connection {
		struct connection tuple;
		uint16_t sport;
	})
	known; /* to count each connection once */
	struct hash_index by_tuple;
};

/* Counts a live connection, if it is new and goes from a container to one on another network. */
void draft_see(struct draft *d, const struct connection *c, uint16_t sport);
void draft_print(struct buf *out, struct draft *d);
