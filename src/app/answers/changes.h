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
	bool all; /* changes holds every difference, not only the first ones */
};

/* before and after: results of compile(). changes_release is always called. */
void changes_find(struct flow_changes *c, const struct generation *before,
		  const struct state *before_want, const struct generation *after,
		  const struct state *after_want);
void changes_release(struct flow_changes *c);
/* Prints one line per change, at most `most`; or "the same flows". */
void changes_print(struct buf *out, const struct flow_changes *c, uint32_t most);
/* "web -> db 5432/tcp  (policies[3], networks.json:12); and 2 more"; "" if there is nothing. */
void changes_put_words(struct buf *out, const struct flow_changes *c, bool opens, uint32_t most);
/* Prints members of a JSON object: same, complete, changes. */
void changes_print_json(struct buf *out, const struct flow_changes *c);
