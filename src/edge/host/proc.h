/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only fork: runs *-save and *-restore of the iptables variants, no shell, with a deadline. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/*
 * Runs argv (found in PATH), gives it input on stdin (may be NULL), collects stdout in *output (may
 * be NULL). Killed after timeout_ms. False if it could not run or did not exit with 0; the error
 * carries its stderr.
 */
MUST_CHECK bool proc_run(const char *const argv[], const char *input, struct buf *output,
			 int timeout_ms, struct error *err);
