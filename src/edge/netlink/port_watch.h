/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether somebody changed the ports of strict networks' bridges, by what the kernel announces.
 * Switches and addresses that the host answers for are not announced (ports_differ).
 */
#pragma once

#include "core/ports/ports.h"

#include <linux/netlink.h>

enum { MOST_OPENED = 64 };

struct port_watch {
	struct arena arena;
	/* as the last pass wanted them; of a bridge that is not there yet: its name */
	bridge_ports_list expected;
	/* ports that the last pass did not know; the caller closes them and clears the list */
	uint32_t opened[MOST_OPENED], n_opened;
};

/* From now on these are right; with none nothing is heard. */
void port_watch_expect(struct port_watch *watch, const bridge_ports_list *expected);
void port_watch_release(struct port_watch *watch);
/* The announcement is of something that is not as it is expected. Notes ports that are new. */
bool port_watch_is_news(struct port_watch *watch, const struct nlmsghdr *message);
/*
 * Joins or leaves the groups of links and neighbours. Of theirs only what is of a bridge gets to
 * the socket: a busy host has many neighbours.
 */
void port_watch_hear(int event_fd, bool on);
