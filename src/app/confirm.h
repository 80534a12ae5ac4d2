/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply --confirm: a file is tried, and the last good generation is in force again unless somebody
 * confirms in time (app/daemon/trial.h). A daemon does both by itself. Without one the command
 * waits in the foreground; if it is killed, the next apply or daemon goes back.
 */
#pragma once

#include "app/daemon/trial.h"
#include "app/world/world.h"

/* The whole verb; returns its exit code (attempt.c). */
int confirm_apply(const struct options *options);
/* --confirm yes, --confirm no. */
int confirm_yes(const struct options *options);
int confirm_no(const struct options *options);
/* True: no trial runs. Otherwise it is named. One whose time is over is ended. */
bool confirm_is_quiet(const struct options *options);
/* Puts the last good generation in force, because nobody confirmed the file; the exit code. */
int confirm_go_back(const struct options *options);
/* Ends the trial, unless somebody else decided in the same moment, and goes back. */
int confirm_end(const struct options *options);
/* *found: a daemon manages this host, so it is asked. */
MUST_CHECK bool confirm_find_daemon(bool *found, const struct world *w, struct error *err);
/* Of a file with its lists; 0: it can't be read. */
uint64_t confirm_digest(const char *path);
