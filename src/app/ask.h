/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs' way to a running daemon. */
#pragma once

#include "app/pass/world.h"

/* Who holds the lock, "" for nobody. */
MUST_CHECK bool ask_holder(char *text, size_t size, const struct world *w, struct error *err);
/*
 * Has the daemon make a pass now; its word is printed. accept: the digest of a file that is to be
 * taken, whatever it takes away; 0: none. The exit code.
 */
int ask_for_pass(const struct options *options, uint64_t accept);
/* What a person types to have a file taken that the daemon holds. */
const char *ask_accept_command(struct arena *a, const struct options *options, uint64_t digest);
