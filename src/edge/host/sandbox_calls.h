/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seccomp filter: which calls pass, with which arguments, and what happens to the others. */
#pragma once

#include "base/error.h"

/*
 * Applies to this thread, threads it starts, and all children; permanent. no_new_privs must be set.
 */
MUST_CHECK bool sandbox_filter_calls(struct error *err);
