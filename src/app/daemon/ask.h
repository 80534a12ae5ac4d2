/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs' way to a running daemon, and to each other. */
#pragma once

#include "app/pass/world.h"
#include "edge/firewall/lock.h"

/* Who holds the lock, "" for nobody. */
MUST_CHECK bool ask_holder(char holder[LOCK_TEXT], const struct world *w, struct error *err);
/*
 * The lock, as of lock_take; a verb that is at work is waited for, for a while. -1 with err, which
 * says who holds it.
 */
int ask_for_lock(const char *verb, struct error *err);
/* The daemon keeps this file; if it does not, that is said. */
MUST_CHECK bool ask_is_its_file(const struct options *options);
/*
 * Has the daemon make a pass now; its word is printed. accept: the digest of a file that is to be
 * taken, whatever it takes away; 0: none. The exit code.
 */
int ask_for_pass(const struct options *options, uint64_t accept);
