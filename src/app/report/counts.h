/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel counted for every policy, read when somebody asks. */
#pragma once

#include "app/pass/pass.h"

struct counts {
	bool on;	   /* there are counters */
	uint64_t digest;   /* of the file that they are of */
	uint64_t *packets; /* of its policies */
	uint32_t n;
};

/*
 * Reads them anew; what can't be read keeps its last numbers. facts: of the last pass. Compiles the
 * rules once more, for which element is whose is not kept.
 */
void counts_read(struct counts *c, struct world *w, const struct facts *facts,
		 const struct generation *g);
void counts_release(struct counts *c);
