/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules without our mark that open managed networks: an earlier tool left them, or a person made
 * them by hand. An accept in FORWARD, DOCKER-USER or a chain that they lead to, and a DNAT to a
 * managed address, as far as they say plain things. Not Docker's own rules, not ours, and not what
 * firewalld makes of its zones. Pure.
 */
#pragma once

#include "core/flows/interfaces.h"
#include "core/foreign/plain.h"
#include "core/foreign/variant.h"

/* What is managed in one family, and the engine's bridges. */
struct managed {
	LIST(struct prefix) subnets;
	interfaces bridges; /* of the managed networks that have it, sorted */
	interfaces docker;  /* bridges of all the engine's networks, sorted */
	/* harborwall closes them, Docker does not: an accept opens nothing, a translation does */
	bool closed;
};

struct opening {
	enum variant variant;
	uint8_t family;		  /* 4, or 6: of ip6tables */
	const char *table, *rule; /* as iptables-save prints it */
};
typedef LIST(struct opening) opening_list;

/* Appends those found in the output of iptables-save, or of ip6tables-save for family 6. */
void openings_find(opening_list *found, struct arena *a, enum variant variant, uint8_t family,
		   const char *save, const struct managed *managed);
