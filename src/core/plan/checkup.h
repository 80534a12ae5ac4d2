/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What doctor looks for in what was observed: pure, so that every case has a unit test. */
#pragma once

#include "core/plan/observed.h"

/*
 * An address or route of the host that takes packets away from a network: of its subnet or a part
 * of it, and leading to another interface than its bridge (or the one that it had: "" if none), or
 * (dead) nowhere. NULL: none. A wider route loses against the bridge's own.
 */
const struct host_prefix *checkup_find_overlap(const struct observed *seen, struct prefix subnet,
					       const char *bridge, const char *old_bridge,
					       bool dead);

/* The kernel takes the larger of the switch for all and the interface's own; 1 is strict. */
bool checkup_is_strict(long rp_filter_of_all, long own);

/* A container that bears the name of the tool that we take over from. */
bool checkup_is_network_go(const struct engine_container *container);
