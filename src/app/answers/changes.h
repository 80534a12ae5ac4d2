/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one compiled file opens and closes against another, for people and for programs. */
#pragma once

#include "app/pass/pass.h"
#include "core/reach/diff.h"

struct flow_changes {
	struct arena a;
	struct reach_pool pool;
	struct reach sides[2]; /* before, after */
	change_list list;
	bool all; /* there are no more than those of the list */
};

/* before and after: what compile made of each. Released in any case. */
void changes_find(struct flow_changes *c, const struct generation *before,
		  const struct state *before_want, const struct generation *after,
		  const struct state *after_want);
void changes_release(struct flow_changes *c);
/* A line each, no more than `most`; "the same flows". */
void changes_print(struct buf *out, const struct flow_changes *c, uint32_t most);
/* Members of an object: same, complete, changes. */
void changes_print_json(struct buf *out, const struct flow_changes *c);
