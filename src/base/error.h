/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An error is about the world: the first wins, and callers put what they were doing in front of it.
 * All-zero is "no error". What is wrong in the user's file is a diagnostic (base/diag.h).
 */
#pragma once

#include "base/base.h"

struct error {
	int code; /* errno, or an HTTP status >= 100 where the header says so, or -1 */
	char text[600];
};

/*
 * Both return false, so that failing is one line. If the code is an errno, its strerror is
 * appended.
 */
bool error_set(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Puts "what was being done: " in front. */
bool error_wrap(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
