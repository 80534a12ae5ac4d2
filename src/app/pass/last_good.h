/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file in force, kept beside the state file: what to enforce when the next start finds no file
 * or a broken one, and what a new file is compared with. A new one is written beside it first, and
 * takes its place once it is accepted.
 */
#pragma once

#include "app/console/options.h"
#include "app/pass/pass.h"

const char *last_good_path(struct arena *a, const struct options *o);
/* It has these bytes, by their hash_large. */
bool last_good_is(const struct options *o, uint64_t size, uint64_t digest);
/* NULL: there is none that can be enforced. The caller releases and frees it. */
struct generation *last_good_load(const struct options *o);

MUST_CHECK bool last_good_propose(const struct options *o, const struct texts *texts,
				  struct error *err);
MUST_CHECK bool last_good_accept(const struct options *o, struct error *err);
/* Nothing is in force any more. */
MUST_CHECK bool last_good_forget(const struct options *o, struct error *err);
