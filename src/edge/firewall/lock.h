/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One process changes a host at a time, across containers, too. The lock is an nf_tables table that
 * a socket owns (NFT_TABLE_F_OWNER, Linux >= 5.12): it is in the host's network namespace, ordinary
 * users can't create it, and it disappears with the process, however that ends. The daemon holds it
 * while it runs, other verbs while they change something.
 */
#pragma once

#include "base/error.h"
#include "edge/netlink/netns.h"

enum { LOCK_TEXT = 48 };

/*
 * Returns the descriptor that holds the lock, or -1 with err. EBUSY: another process has it, named
 * in holder: "pid 123", or "pid 123, apply" for a verb other than run; "" if it was released just
 * now.
 */
int lock_take(char holder[LOCK_TEXT], const char *verb, struct error *err);
/* Writes who holds it, "" if nobody does. */
MUST_CHECK bool lock_holder(char holder[LOCK_TEXT], const struct ns *host, struct error *err);
/* The holder is not a daemon, so it will end by itself. */
bool lock_is_passing(const char *holder);
