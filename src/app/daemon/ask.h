/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How verbs talk to a running daemon and wait for each other. */
#pragma once

#include "app/world/world.h"
#include "edge/firewall/lock.h"

/* Writes who holds the lock, "" if nobody does. */
MUST_CHECK bool ask_holder(char holder[LOCK_TEXT], const struct world *w, struct error *err);
/*
 * Takes the lock as lock_take does, but waits a while for another verb. -1 with err, which names
 * the holder.
 */
int ask_for_lock(const char *verb, struct error *err);
/* True: the daemon uses this file. Otherwise the difference is printed. */
MUST_CHECK bool ask_is_its_file(const struct options *options);
/*
 * Asks the daemon for a pass and prints its answer. accept: digest of a held file to accept; 0:
 * none. Returns the exit code.
 */
int ask_for_pass(const struct options *options, uint64_t accept);
