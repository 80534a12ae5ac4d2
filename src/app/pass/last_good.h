/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file in force, saved beside the state file. It is used when the program starts without a
 * valid file, and new files are compared with it. A new file is written beside it first and
 * replaces it once it is accepted.
 */
#pragma once

#include "app/console/options.h"
#include "app/pass/generation.h"

/* Path of a file in the folder of the state file. */
const char *beside_state(struct arena *a, const struct options *o, const char *name);
const char *last_good_path(struct arena *a, const struct options *o);
/* True: it has this digest (texts_digest). */
bool last_good_is(const struct options *o, uint64_t digest);
/* NULL: there is no valid one. The caller releases and frees it. */
struct generation *last_good_load(const struct options *o);

MUST_CHECK bool last_good_propose(const struct options *o, const struct texts *texts,
				  struct error *err);
MUST_CHECK bool last_good_accept(const struct options *o, struct error *err);
/* After clear: no file is in force. */
MUST_CHECK bool last_good_forget(const struct options *o, struct error *err);
