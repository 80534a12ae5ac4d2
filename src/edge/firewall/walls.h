/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads other people's rules that our flows pass in a namespace (core/foreign/walls.h). */
#pragma once

#include "core/foreign/walls.h"
#include "edge/netlink/netns.h"

/*
 * Adds the base chains of other people's nf_tables tables. Of a family that is `known`, without
 * table filter of it, where our verdict is handed over.
 */
MUST_CHECK bool walls_read(wall_list *walls, struct arena *a, const struct ns *ns,
			   const bool known[N_FAMILIES], struct error *err);
/* Adds FORWARD of iptables-legacy and ip6tables-legacy, if that table exists; looking does not
 * create it. */
MUST_CHECK bool walls_read_legacy(wall_list *walls, struct arena *a, const struct ns *ns,
				  struct error *err);
