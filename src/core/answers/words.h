/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flows as text: "web -> db 5432/tcp". Pure. */
#pragma once

#include "base/buf.h"
#include "core/reach/reach.h"

/* "policies[3], networks.json:41" */
const char *policy_place(struct arena *a, const struct config *config, uint32_t policy);
/* The same, by the policy itself. */
void print_policy_traffic(struct buf *out, const struct config *config, const struct policy *p);
void print_matches(struct buf *out, const struct traffic *matches, uint32_t n);
/* "web, lb by br-a -> db 5432/tcp"; for the leaf of a policy with its number. */
void print_block(struct buf *out, const struct reach *reach, const struct flow_block *block);
/* Its parts. Values of FLOW_DST or FLOW_SRC: containers, networks, or the name that has these
 * peers. */
void print_end(struct buf *out, const struct reach *reach, const struct flow_ranges *ranges,
	       const struct peers *peers, const char *name);
/* Interfaces other than the one where the source is at home. */
void print_interfaces(struct buf *out, const struct reach *reach, const struct flow_block *block);
/* "5432/tcp", "53/tcp+udp", "tcp"; "everything". */
void print_traffic(struct buf *out, const struct flow_block *block);
/* "  (policies[3], networks.json:41)" */
void print_policy(struct buf *out, const struct reach *reach, uint32_t policy);
/* The values of all addresses of IPv4; those of IPv6 stand around them. */
struct flow_range every_ip4(void);
