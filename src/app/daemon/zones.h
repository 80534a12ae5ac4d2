/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bridges that Docker has in firewalld's zone. After a reload of firewalld dockerd puts them
 * back a second later; until then firewalld rejects traffic between these networks, behind every
 * rule of ours.
 */
#pragma once

#include "app/pass/pass.h"
#include "edge/firewall/firewalld.h"

struct zones {
	struct firewalld_bus *bus;
	struct buf bridges; /* names, each with its NUL */
};

/* After a pass. While Docker's rules are being rewritten, the last known answer counts. */
void zones_note(struct zones *zones, const struct pass *p, const struct generation *g);
/* firewalld reloaded. */
void zones_restore(const struct zones *zones);
void zones_close(struct zones *zones);
