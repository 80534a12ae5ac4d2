/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What verbs say of a file, and of a pass that they are about to make. */
#pragma once

#include "app/console/options.h"
#include "app/pass/pass.h"

#include <stdio.h>

void say_diags(const struct options *o, struct generation *g);
/* Prints what a plan found, one line each. */
void say_findings(FILE *out, const struct pass *p);
/* Prints why --replace was refused, if it was. Then nothing else is done, either. */
MUST_CHECK bool replace_refused(const struct pass *p, const struct options *o, struct error *err);

/* Reads and loads the file. False: the errors are printed. */
MUST_CHECK bool load_file(struct generation *g, struct texts *texts, const struct options *o);
/* The same, with all warnings that check has. */
MUST_CHECK bool load_checked(struct generation *g, struct texts *texts, const struct options *o);
/* The same, without running the file's tests. */
MUST_CHECK bool load_untested(struct generation *g, struct texts *texts, const struct options *o);
/*
 * Adds to the plan what the file opens and closes compared with the file in force, and a finding if
 * a daemon would hold the file.
 */
void compare_with_file_in_force(struct pass *p, const struct generation *g,
				const struct options *o);
/* Prints the host and the plan. */
void print_plan(struct buf *out, const struct pass *p, const struct generation *g,
		const struct options *o);
