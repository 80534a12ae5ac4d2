/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules without our mark that open managed networks: an earlier tool left them, or a person made
 * them by hand. An accept in FORWARD, DOCKER-USER or a chain that they lead to, and a DNAT to a
 * managed address, as far as they say plain things. Not Docker's own rules, not ours, and not what
 * firewalld makes of its zones. Pure.
 */
#pragma once

#include "core/foreign/plain.h"
#include "core/foreign/variant.h"
#include "core/ruleset/interfaces.h"

/* What is managed, and the engine's bridges. */
struct managed {
	LIST(struct prefix) subnets;
	interfaces bridges; /* of the managed networks, sorted */
	interfaces docker;  /* bridges of all the engine's networks, sorted */
};

struct opening {
	enum variant variant;
	const char *table, *rule; /* as iptables-save prints it */
};
typedef LIST(struct opening) opening_list;

/* Appends those found in the output of iptables-save. */
void openings_find(opening_list *found, struct arena *a, enum variant variant, const char *save,
		   const struct managed *managed);
