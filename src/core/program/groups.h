/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies that name lists and services, without laying out their products. Each address of a
 * group stands once in the kernel, each source list once, each port of a policy once:
 *
 *     map destinations     172.18.104.2 : jump to_shop, 172.18.104.3 : jump to_shop, ...
 *     chain to_shop        meta l4proto . th dport vmap @to_shop
 *     map to_shop          tcp . 80 : jump from_office, tcp . 443 : jump to_shop_tcp_443
 *     chain from_office    ip saddr @from_office goto admit
 *
 * A group is what the subject of a policy names; the chain to_NAME knows who may reach it. An
 * address in several groups has a chain of its own that asks each of them. Pure.
 */
#pragma once

#include "core/program/ends.h"

/* What one policy lets through to some ports, where it is no pair of addresses. */
struct grouped {
	const struct grant *grant;
	struct traffic match;
};

/*
 * Adds the sets, maps and chains of one way. Its target stands by then. Rules that lead there are
 * added by dispatch_groups(), to the chain where the way begins.
 */
void build_groups(struct builder *b, const grouped_list *flows, enum way way);
void dispatch_groups(struct builder *b, struct chain *chain, enum way way);
