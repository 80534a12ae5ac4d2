/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What several verbs do with a file and print of a pass. For people on stdout, errors on stderr. */
#pragma once

#include "app/options.h"
#include "app/pass/pass.h"

#include <stdio.h>

/* "harborwall: …" on stderr; EXIT_FAILED. */
int say_error(const struct error *err);
void say_diags(const struct options *o, struct generation *g);
/* Of a plan: what it found, a line each. */
void say_findings(FILE *out, const struct pass *p);
void say_text(const struct buf *text);

/* The file's text and its generation. False: what is wrong with it is said. */
MUST_CHECK bool load_file(struct generation *g, struct buf *text, const struct options *o);
/* The host and the plan, for people. */
void print_plan(struct buf *out, const struct pass *p, const struct generation *g, bool verbose);
/*
 * A finding where a daemon would hold the file, which has so many bytes. Nothing holds a verb that
 * somebody types, but he should know.
 */
void add_brake(struct pass *p, const struct generation *g, const struct options *o, size_t size);
