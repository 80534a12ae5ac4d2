/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few words we say in the iptables filter that Docker uses: hand-off rules on top of
 * DOCKER-USER (or FORWARD, or raw PREROUTING) and the policy of FORWARD. The nft variant natively
 * over netlink, in iptables-nft's own expressions, so that -S, -C, -D and save/restore understand
 * it; the legacy variant through iptables-legacy-save and -restore (edge/proc.h). Ours bear the
 * comment "harborwall: …"; no other rule is ever changed.
 */
#pragma once

#include "core/state.h"
#include "edge/netns.h"

/*
 * What stands in a variant's filter and raw tables. Never creates a legacy table by looking:
 * iptables-legacy-save is called only if /proc/net/ip_tables_names lists the table.
 */
struct filter_view {
	bool exists;	       /* the variant has a filter table with a FORWARD chain */
	bool docker_user;      /* chain DOCKER-USER is there and FORWARD jumps to it */
	bool docker_isolation; /* FORWARD jumps to DOCKER-ISOLATION-STAGE-1 or DOCKER-FORWARD */
	bool raw_drops;	       /* raw PREROUTING holds a DROP with an interface that is not "br" */
	bool forward_drop;     /* policy of FORWARD */
	LIST(struct handoff) handoffs; /* ours that were found, in any of the three chains */
};
MUST_CHECK bool handoff_read(struct filter_view *view, struct arena *a, const struct ns *ns,
			     enum variant variant, struct error *err);

/*
 * Puts one rule at the top of its chain (removing other copies of ours there) or removes it, in one
 * transaction. Inserts table and chain for FORWARD and raw PREROUTING where they are absent.
 */
MUST_CHECK bool handoff_put(const struct ns *ns, enum variant variant,
			    const struct handoff *handoff, struct error *err);
MUST_CHECK bool handoff_remove(const struct ns *ns, enum variant variant,
			       const struct handoff *handoff, struct error *err);
MUST_CHECK bool handoff_set_forward_policy(const struct ns *ns, enum variant variant, bool drop,
					   struct error *err);
