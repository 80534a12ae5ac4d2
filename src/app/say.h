/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What verbs say to people: text of others may stand in it anywhere (base/foreign.h), so nothing
 * else writes to stdout and stderr.
 */
#pragma once

#include "base/buf.h"

#include <stdio.h>

/* "harborwall: …" on stderr. */
void say_error(const char *format, ...) PRINTF_LIKE(1, 2);
void say_line(FILE *f, const char *format, ...) PRINTF_LIKE(2, 3);
/* Lines of ours. */
void say_page(FILE *f, const struct buf *page);
