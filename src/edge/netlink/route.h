/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes of our protocol number (rtnetlink, linux/rtnetlink.h) in a namespace's tables. */
#pragma once

#include "core/plan/plan.h"
#include "edge/netlink/netns.h"

enum { ROUTE_PROTOCOL = 104 }; /* RTPROT_*: in nobody's use; `ip route` shows "proto 104" */

typedef LIST(struct route) route_list;
typedef LIST(struct host_prefix) host_prefix_list;

/* Ours, sorted by destination. */
MUST_CHECK bool route_read(route_list *routes, struct arena *a, const struct ns *ns,
			   struct error *err);
/*
 * Every prefix of a family (4 or 6) that the namespace's main table routes, and its addresses.
 * Without ours, and without link-local ones. A default route has length 0; the preferred one comes
 * first.
 */
MUST_CHECK bool route_read_prefixes(host_prefix_list *prefixes, struct arena *a,
				    const struct ns *ns, uint8_t family, struct error *err);
/* An interface of this name is there: has_interface takes what can not be found out for there. */
bool route_has_interface(const struct ns *ns, const char *name);
MUST_CHECK bool route_has_link(bool *has, const struct ns *ns, const char *name, struct error *err);
/* Adds or replaces. EEXIST if a foreign route to the same prefix stands: it is left alone. */
MUST_CHECK bool route_add(const struct ns *ns, const struct route *route, struct error *err);
MUST_CHECK bool route_remove(const struct ns *ns, const struct route *route, struct error *err);
