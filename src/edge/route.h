/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes of our protocol number (rtnetlink, linux/rtnetlink.h) in a namespace's main table. */
#pragma once

#include "core/state.h"
#include "edge/netns.h"

enum { ROUTE_PROTOCOL = 104 }; /* RTPROT_*: in nobody's use; `ip route` shows "proto 104" */

typedef LIST(struct route) route_list;

MUST_CHECK bool route_read(route_list *routes, struct arena *a, const struct ns *ns,
			   struct error *err);
/* Adds or replaces. EEXIST if a foreign route to the same prefix stands: it is left alone. */
MUST_CHECK bool route_add(const struct ns *ns, const struct route *route, struct error *err);
MUST_CHECK bool route_remove(const struct ns *ns, const struct route *route, struct error *err);
