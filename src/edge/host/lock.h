/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One daemon per host, also from another container: an nf_tables table that its socket owns
 * (NFT_TABLE_F_OWNER, Linux >= 5.12) lives in the host's network namespace, can't be made by an
 * ordinary user, and goes with the process however that ends.
 */
#pragma once

#include "base/error.h"
#include "edge/netlink/netns.h"

/* The descriptor that holds the lock, or -1 with err, which names the holder. */
int lock_take(struct error *err);
/* Text about who holds it ("pid 123"), "" if nobody does. */
MUST_CHECK bool lock_holder(char *text, size_t size, const struct ns *host, struct error *err);
