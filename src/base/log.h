/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line per event on stderr, logfmt or JSON:
 *     time=2026-01-02T03:04:05.678Z level=info what=applied policies=3
 * Fields are name, text pairs ended by NULL; a pair whose text is NULL is left out. "#name": the
 * text is a number's, and in JSON it is one.
 */
#pragma once

#include "base/arena.h"

#include <time.h>

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

/* Lines below this level are not written. Default: info, logfmt. */
void log_configure(enum log_level lowest, bool json);
void log_event(enum log_level level, const char *what, ...) __attribute__((sentinel));

/* A time as the log says it, to the second. */
const char *log_time(struct arena *a, time_t t);

#define log_debug(...) log_event(LOG_DEBUG_LEVEL, __VA_ARGS__, NULL)
#define log_info(...)  log_event(LOG_INFO_LEVEL, __VA_ARGS__, NULL)
#define log_warn(...)  log_event(LOG_WARN_LEVEL, __VA_ARGS__, NULL)
#define log_error(...) log_event(LOG_ERROR_LEVEL, __VA_ARGS__, NULL)
