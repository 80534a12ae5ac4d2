/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Live connections of a namespace (libnetfilter_conntrack). */
#pragma once

#include "core/answers/live.h"
#include "core/nft/probe.h"
#include "core/plan/revoke.h"
#include "edge/netlink/netns.h"

/* Looks at every IPv4 connection and does with it what its fate is. *n counts those that end. */
MUST_CHECK bool conntrack_revoke(uint32_t *n, const struct ns *ns, const struct revocation *r,
				 struct error *err);

/* Ends all connections whose mark has the bit, because policies admitted them; 0: all of them. */
MUST_CHECK bool conntrack_list(live_list *list, struct arena *a, const struct ns *ns, uint32_t bit,
			       struct error *err);
/* Deletes the entry that a packet of ours left in the namespace it was sent from. */
void conntrack_forget(const struct ns *ns, uint8_t proto, const struct probe_flow *flow);
