/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply --confirm: a file is tried, and the last good generation is in force again unless somebody
 * confirms in time (app/daemon/trial.h). A daemon does both by itself. Without one the command
 * waits in the foreground; if it is killed, the next apply or daemon goes back.
 */
#pragma once

#include "app/console/options.h"

/* The whole verb; returns its exit code. */
int confirm_apply(const struct options *options);
/* True: no trial runs. Otherwise it is named. One whose time is over is ended. */
bool confirm_is_quiet(const struct options *options);
/* Puts the last good generation in force, because nobody confirmed the file; the exit code. */
int confirm_go_back(const struct options *options);
