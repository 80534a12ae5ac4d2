/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A container's routes and rules, whoever wrote them (rtnetlink, linux/fib_rules.h). */
#pragma once

#include "edge/netlink/route.h"

/*
 * All of them. Where there are more than are looked at (MOST_PATHS, MOST_IP_RULES), routing is one
 * with an only_device that nobody knows: UINT32_MAX. family: 4 or 6.
 */
MUST_CHECK bool routing_read(struct routing *routing, struct arena *a, const struct ns *ns,
			     uint8_t family, struct error *err);
