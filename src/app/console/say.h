/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What verbs say to people. Text of others may stand in it anywhere (base/foreign.h), so nothing
 * else writes it to stdout and stderr.
 */
#pragma once

#include "app/console/options.h"
#include "base/buf.h"
#include "base/error.h"

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
/* What a person types to have a file taken that the daemon holds. */
const char *accept_command(struct arena *a, const struct options *options, uint64_t digest);
