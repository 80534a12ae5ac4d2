/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which routes containers need so that allowed flows and their replies take the way through the
 * networks that the file declares, not through whatever default route Docker gave. Pure.
 */
#pragma once

#include "base/seen.h"
#include "core/nodes.h"
#include "core/state.h"

struct routes {
	struct arena *a;
	const struct nodes *nodes;
	uint32_t n_networks;   /* declared */
	struct needs *of_node; /* one per node */
	bool anybody_lost;     /* there is a node whose default route is not the right way */
	uint8_t *everything;   /* asked already: who is content asks for nothing */
	struct seen known;     /* flows from or to a whole network */
};

/* One end of a flow. */
struct end {
	struct prefix net;
	const struct node *node; /* that holds it, where it is one address; or NULL */
	uint32_t network;	 /* the declared one that holds it; NONE: none, or not asked */
};

struct routes routes_new(struct arena *a, const struct nodes *nodes, uint32_t n_networks);
struct end routes_end(const struct nodes *nodes, struct prefix net);
/* A flow from src to dst must find its way there and back, and leave as src. */
void routes_need(struct routes *routes, struct end src, struct end dst, uint32_t origin);
/* The routes of node i, sorted, into its space. The scratch memory is empty before and after. */
void routes_of(const struct routes *routes, uint32_t i, struct arena *a, struct arena *scratch,
	       struct space *space);
