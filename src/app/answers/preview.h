/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What verbs say of a file, and of a pass that they are about to make. */
#pragma once

#include "app/console/options.h"
#include "app/pass/pass.h"

#include <stdio.h>

void say_diags(const struct options *o, struct generation *g);
/* Of a plan: what it found, a line each. */
void say_findings(FILE *out, const struct pass *p);
/* With what it found, if so. Nothing else is done either: whoever names a network means it. */
MUST_CHECK bool replace_refused(const struct pass *p, const struct options *o, struct error *err);

/* The file's text and its generation. False: what is wrong with it is said. */
MUST_CHECK bool load_file(struct generation *g, struct texts *texts, const struct options *o);
/* The same; its tests are not run. */
MUST_CHECK bool load_untested(struct generation *g, struct texts *texts, const struct options *o);
/*
 * Adds to the plan what the file, of `size` bytes, opens and closes against the one in force, and
 * a finding where a daemon would hold it.
 */
void compare_with_file_in_force(struct pass *p, const struct generation *g, const struct options *o,
				size_t size);
/* The host and the plan, for people. */
void print_plan(struct buf *out, const struct pass *p, const struct generation *g,
		const struct options *o);
