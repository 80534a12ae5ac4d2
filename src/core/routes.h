/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which routes containers need so that allowed flows and their replies take the way through the
 * networks that the file declares, not through whatever default route Docker gave. Pure.
 */
#pragma once

#include "core/nodes.h"
#include "core/state.h"

struct routes {
	struct arena *a;
	struct node_needs *of_node; /* one per node */
};

struct routes routes_new(struct arena *a, uint32_t n_nodes);
/* A flow from src to dst must find its way there and back, and leave as src. */
void routes_need(struct routes *routes, const struct nodes *nodes, struct prefix src,
		 struct prefix dst, uint32_t origin);
/* The routes of node i, sorted, into its space. */
void routes_of(const struct routes *routes, uint32_t i, struct arena *a, struct space *space);
