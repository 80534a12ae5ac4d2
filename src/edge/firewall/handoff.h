/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our few changes in the iptables filter that Docker uses: hand-off rules in DOCKER-USER (or
 * FORWARD, or raw PREROUTING) and the policy of FORWARD. The nft variant over netlink, the legacy
 * variant through iptables-legacy-save and -restore (edge/host/proc.h). Other people's rules are
 * never changed. core/foreign/handoff.h knows what our rules look like.
 */
#pragma once

#include "core/foreign/bridges.h"
#include "core/foreign/firewalld.h"
#include "core/foreign/handoff.h"
#include "edge/netlink/netns.h"

/*
 * Never creates a legacy table by looking: iptables-legacy-save is called only if
 * /proc/net/ip_tables_names lists the table.
 */
MUST_CHECK bool handoff_read(struct filter_view *view, struct arena *a, const struct ns *ns,
			     enum variant variant, uint8_t family, struct error *err);

/* Docker's own nf_tables table of a family; nothing is ever written into it. */
MUST_CHECK bool handoff_read_bridges(struct bridges_view *view, struct arena *a,
				     const struct ns *ns, uint8_t family, uint32_t mark,
				     struct error *err);

/* Of firewalld's own table; nor into this one. */
MUST_CHECK bool handoff_read_firewalld(struct firewalld *view, struct arena *a, const struct ns *ns,
				       struct error *err);

/*
 * Puts one rule where it is wanted (removing other copies of it in that chain) or removes it, in
 * one transaction. Creates table and chain for FORWARD and raw PREROUTING if they are missing.
 */
MUST_CHECK bool handoff_put(const struct ns *ns, const struct handoff *handoff, struct error *err);
MUST_CHECK bool handoff_remove(const struct ns *ns, const struct handoff *handoff,
			       struct error *err);
MUST_CHECK bool handoff_set_forward_policy(const struct ns *ns, enum variant variant, bool drop,
					   struct error *err);
