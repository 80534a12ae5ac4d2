/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fields of a flow; their values are numbers, so a set of flows is made of ranges. Pure. */
#pragma once

#include "base/ip.h"

/* In the order in which diagrams ask them. */
enum flow_field {
	FLOW_DST,   /* address: IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2) */
	FLOW_IN,    /* incoming interface, numbered by the caller */
	FLOW_SRC,   /* as the destination */
	FLOW_PROTO, /* IP protocol number (IANA) */
	FLOW_PORT,  /* destination port; type for ICMP; 0 where there is none */
	N_FLOW_FIELDS,
};

__extension__ typedef unsigned __int128 flow_value;

struct flow_range {
	flow_value low, high; /* inclusive */
};

extern const flow_value flow_most[N_FLOW_FIELDS]; /* the largest value of each field */

flow_value flow_value_of_ip(struct ip ip);
struct ip flow_value_to_ip(flow_value value);
struct flow_range flow_range_of_prefix(struct prefix prefix);
/* Every address of a family, as ranges: those of IPv6 stand around those of IPv4. */
enum { MOST_FAMILY_RANGES = 2 };
uint32_t flow_ranges_of_family(struct flow_range ranges[MOST_FAMILY_RANGES], uint8_t family);
int flow_range_by_low(const void *left, const void *right); /* as qsort takes it */
