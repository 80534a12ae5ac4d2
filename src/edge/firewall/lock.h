/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whoever changes a host does so alone, also from another container: an nf_tables table that his
 * socket owns (NFT_TABLE_F_OWNER, Linux >= 5.12) lives in the host's network namespace, can't be
 * made by an ordinary user, and goes with the process however that ends. The daemon holds it as
 * long as it runs, other verbs while they change something.
 */
#pragma once

#include "base/error.h"
#include "edge/netlink/netns.h"

enum { LOCK_TEXT = 48 };

/*
 * The descriptor that holds the lock, or -1 with err. EBUSY: somebody else does, who is named in
 * holder: "pid 123", of another verb than run "pid 123, apply"; "" if he just let it go.
 */
int lock_take(char holder[LOCK_TEXT], const char *verb, struct error *err);
/* Who holds it, "" if nobody does. */
MUST_CHECK bool lock_holder(char holder[LOCK_TEXT], const struct ns *host, struct error *err);
/* It is no daemon, so it ends by itself. */
bool lock_is_passing(const char *holder);
