/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a program; the only fork. Used for *-save and *-restore of the iptables variants. No shell,
 * and a deadline.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/*
 * Runs argv (found in PATH) with input on stdin (may be NULL), and collects stdout in *output (may
 * be NULL). Killed after timeout_ms. False: it could not run or did not exit with 0; the error
 * contains its stderr.
 */
MUST_CHECK bool proc_run(const char *const argv[], const char *input, struct buf *output,
			 int timeout_ms, struct error *err);
