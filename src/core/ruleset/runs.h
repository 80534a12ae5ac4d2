/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prefixes of one family cut into runs of addresses that do not overlap, as an interval set wants
 * them. Prefixes nest or are apart, they never cross: so n of them make at most 2 n runs, in
 * O(n log n). Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"

__extension__ typedef unsigned __int128 ip_number; /* an address of either family */

struct run {
	ip_number low, high; /* inclusive */
	uint32_t value;	     /* the caller's */
};

struct runs {
	LIST(struct run) list; /* from the lowest on; neighbours have different values */
	/* The value where a prefix with `inner` lies within one with `outer`. */
	uint32_t (*within)(void *context, uint32_t outer, uint32_t inner);
	void *context;
};

struct run run_of_prefix(struct prefix prefix, uint32_t value);
/* Of n prefixes, which are sorted here. */
void runs_cut(struct runs *runs, struct arena *a, struct run *prefixes, uint32_t n);
/* family: 4 or 6. */
struct ip run_address(ip_number number, uint8_t family);
