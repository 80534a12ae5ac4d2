/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What doctor checks in what was observed. Pure, so that every case has a unit test. */
#pragma once

#include "core/plan/observed.h"

/*
 * A route or address of the host that diverts packets from a network: it is for the network's
 * subnet or a part of it, and leads to another interface than its bridge (or its former bridge: ""
 * if none), or (dead) nowhere. NULL: none. A wider route does not matter, because the bridge's own
 * route wins.
 */
const struct host_prefix *checkup_find_overlap(const struct observed *seen, struct prefix subnet,
					       const char *bridge, const char *old_bridge,
					       bool dead);

/* The kernel uses the larger of the values for "all" and for the interface; 1 is strict. */
bool checkup_is_strict(long rp_filter_of_all, long own);

/*
 * A rule in this output of ip6tables-save drops what it would answer by another interface
 * (firewalld's iptables backend with IPv6_rpfilter=yes; anybody).
 */
bool checkup_filters_sources(const char *save);
/*
 * FORWARD in this output of ip6tables-save drops what comes from there by one interface and leaves
 * by another; out NULL: unknown.
 */
bool checkup_forward_drops(const char *save, struct prefix from, const char *in, const char *out);
/* A container named like the tool that we replace. */
bool checkup_is_network_go(const struct engine_container *container);
