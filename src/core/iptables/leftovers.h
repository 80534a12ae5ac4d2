/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds rules without our mark that say what a policy of the file says. network-go and its shell
 * script wrote such rules (one ACCEPT for each flow in DOCKER-USER or FORWARD, DNAT in PREROUTING,
 * MASQUERADE in POSTROUTING, on the host and in containers), and nothing else removes them. A rule
 * that says anything more, or has a comment, is not one of them. Pure: text only.
 */
#pragma once

#include "core/flows/flows.h"
#include "core/foreign/variant.h"

/* An unmanaged rule that duplicates a policy. */
struct leftover {
	enum variant variant;
	uint8_t family; /* 4: iptables, 6: ip6tables */
	const char *table;
	const char *rule; /* as iptables-save prints it: "-A DOCKER-USER -s …" */
	uint32_t origin;  /* the policy that says the same */
};
typedef LIST(struct leftover) leftover_list;

/* Appends those in the output of iptables-save. */
void leftovers_find(leftover_list *found, struct arena *a, enum variant variant, uint8_t family,
		    const char *save, const struct flows *flows);
