/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other people's rules in a namespace that our flows pass (core/foreign/walls.h): a look, no more.
 */
#pragma once

#include "core/foreign/walls.h"
#include "edge/netlink/netns.h"

/*
 * Adds the base chains of other people's nf_tables tables; of "ip filter" none if `known` (where
 * the verdict is handed over in it).
 */
MUST_CHECK bool walls_read(wall_list *walls, struct arena *a, const struct ns *ns, bool known,
			   struct error *err);
/* Adds FORWARD of iptables-legacy, where that table stands: looking makes none. */
MUST_CHECK bool walls_read_legacy(wall_list *walls, struct arena *a, const struct ns *ns,
				  struct error *err);
