/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What diagrams have as numbers: interfaces, and where translations lead. Two files share a pool,
 * so that their diagrams can be compared. Pure.
 */
#pragma once

#include "base/hash_index.h"
#include "core/flows/flows.h"
#include "core/flowset/diagram.h"

/* Values of FLOW_IN; numbers of interface names follow. */
enum { REACH_IN_LOCAL, REACH_IN_OTHER, REACH_N_IN };
/* Stands in FLOW_DST and FLOW_SRC for all of the namespace's own addresses. */
enum { REACH_SELF = 0 };

/* Where a translation leads. */
struct reach_target {
	struct ip to;
	uint16_t to_port; /* 0: unchanged */
	bool masquerade;
	uint32_t rest; /* number + 1 of the other targets that clients are spread over; 0: none */
};

struct reach_pool {
	struct arena *a;
	struct diagram_pool *diagrams;
	LIST(struct { const char *name; }) interfaces; /* index = FLOW_IN minus REACH_N_IN */
	struct hash_index by_name;
	LIST(struct reach_target) targets;
	struct hash_index by_target;
};

void reach_pool_init(struct reach_pool *pool, struct arena *a);
/* The value of an interface by name; REACH_IN_OTHER: nothing in the pool's files names it. */
uint32_t reach_interface(const struct reach_pool *pool, const char *name);
/* The same; from now on it has a value of its own. */
uint32_t reach_add_interface(struct reach_pool *pool, const char *name);
/* The number of a translation's target in the pool; equal targets have equal numbers. */
uint32_t reach_target(struct reach_pool *pool, const struct translation *t, uint32_t rest);
