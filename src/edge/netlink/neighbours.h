/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a namespace has learned of its neighbours: their MAC addresses (rtnetlink, RTM_*NEIGH). */
#pragma once

#include "base/ip.h"
#include "edge/netlink/netns.h"

/*
 * Forgets those whose addresses are in one of the prefixes, so that they are asked for again. What
 * somebody set stays. Of a container's the bound is MOST_NEIGHBOURS; those beyond it stay.
 */
enum { MOST_NEIGHBOURS = 4096 };
MUST_CHECK bool neighbours_forget(const struct ns *ns, const struct prefix *prefixes, uint32_t n,
				  struct error *err);
