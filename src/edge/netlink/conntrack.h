/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Live connections of a namespace (libnetfilter_conntrack). */
#pragma once

#include "core/nft/probe.h"
#include "core/plan/revoke.h"
#include "edge/netlink/netns.h"

/*
 * Deletes the entries whose mark has the bit and that the flows do not admit; others are never
 * touched. *n counts the deleted.
 */
MUST_CHECK bool conntrack_revoke(uint32_t *n, const struct ns *ns, uint32_t bit,
				 const struct flows *flows, struct error *err);
/* Deletes the one entry that a packet of ours left where it was sent from, if it did. */
void conntrack_forget(const struct ns *ns, uint8_t proto, const struct probe_flow *flow);
