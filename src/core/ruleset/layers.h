/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ranges that overlap can't stand in one interval set (the kernel refuses the second with EEXIST or
 * ENOTEMPTY). So boxes are dealt into layers: none of one layer overlap. What another box covers
 * whole is dropped. The number of layers is the depth of overlap, not the number of boxes. Pure.
 */
#pragma once

#include "core/compile/flows.h"

/* A flow as a range in four dimensions, as an interval set's record: key, then inclusive end. */
enum { BOX_FIELD = 4, BOX_KEY = 16 }; /* source, destination, protocol, port; 4 bytes each */

struct box {
	uint8_t bounds[2 * BOX_KEY];
	uint32_t origin;
};

struct box_list {
	LIST(struct box) list;
};

struct layers {
	struct box_list *items;
	uint32_t n;
};

struct box box_of_flow(const struct allow *flow);
void layers_build(struct layers *layers, struct arena *a, const struct box_list *boxes);
