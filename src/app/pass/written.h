/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What our own transactions left in the host's sets, so that the next pass need not read it back:
 * 100 000 elements are 0.4 s of dumping. It holds if the kernel's count of transactions rose by
 * exactly ours since the table was read. Rules and chains are read all the same, for their handles.
 */
#pragma once

#include "app/pass/world.h"

struct pass;

/* Around each step that changes the host's rules. */
struct written_step {
	uint32_t generation; /* before the step; 0: not known */
	uint64_t transactions;
};
struct written_step written_before(const struct world *w);
void written_after(struct world *w, const struct written_step *before);

/* Behind the last step: `sets` stand as they are in this ruleset. NULL: nobody knows. */
void written_keep(struct world *w, const struct ruleset *sets);
/* Of this generation, for the next reading; NULL: they must be read. */
const struct ruleset *written_sets(const struct world *w, uint32_t generation);
/* One transaction since this generation was ours and changed no rules: the lock's. */
void written_skip(struct world *w, uint32_t generation);
/* What was believed is read once, by the next pass. */
void written_verify(struct world *w);
void written_release(struct world *w);
