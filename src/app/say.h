/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What verbs say to people, and what several of them do with a file and print of a pass. Text of
 * others may stand in it anywhere (base/foreign.h), so nothing else writes it to stdout and stderr.
 */
#pragma once

#include "app/options.h"
#include "app/pass/pass.h"

#include <stdio.h>

/* "harborwall: …" on stderr. */
void say_error(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same, of what went wrong; EXIT_FAILED. */
int say_failed(const struct error *err);
void say_line(FILE *out, const char *format, ...) PRINTF_LIKE(2, 3);
/* The beginning of a line, before something that may take its time. */
void say_begin(FILE *out, const char *format, ...) PRINTF_LIKE(2, 3);
/* Lines of ours. */
void say_page(FILE *out, const struct buf *page);

/* Of a terminal: what stood there goes. */
void say_clear(FILE *out);

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
