/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies that would allow what was counted (audit.h): one for each container, target and protocol
 * with all its ports, and one for the addresses of the outside that are asked for the same ports.
 * Pure.
 */
#pragma once

#include "core/logged/audit.h"

struct advice {
	const char *subject;
	enum audit_target target;
	name_list to; /* one, but for AUDIT_OUTSIDE */
	uint8_t proto;
	LIST(uint16_t) ports; /* sorted; none: the protocol has none */
	uint64_t count;
	bool whole_network; /* the subject: who asked has no name in the file */
};
typedef LIST(struct advice) advice_list;

void advice_make(advice_list *list, struct arena *a, const struct audit *audit,
		 const struct config *config);
/* Items of "policies", with commas between them. */
void advice_print(struct buf *out, const advice_list *list, const char *indent);

/* Who a source of the audit is, and what a flow asks for, as policies and people call them. */
const char *audit_source_name(struct arena *a, const struct config *config, struct ip source);
const char *audit_target_name(struct arena *a, const struct config *config,
			      const struct audit_flow *flow);
/* False: only "proto": "any" would allow it, which is more than anybody wants. */
bool audit_has_policy(const struct audit_flow *flow);
