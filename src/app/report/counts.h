/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel counted for every policy, read when somebody asks. */
#pragma once

#include "app/pass/pass.h"

struct counts {
	bool on;	   /* the rules have counters */
	uint64_t digest;   /* of the file that the counters belong to */
	uint64_t *packets; /* by policy */
	uint32_t n;
};

/*
 * Reads the counters. What can't be read keeps its last value. facts: of the last pass. Compiles
 * the rules once more, because nothing remembers which element belongs to which policy.
 */
void counts_read(struct counts *c, struct world *w, const struct facts *facts,
		 const struct generation *g);
void counts_release(struct counts *c);
