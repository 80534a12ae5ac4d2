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
	bool into; /* `to` is who asks the subject, else whom it asks */
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

/* Who an entry of the audit is, and the other end of a flow, as policies and people call them. */
const char *audit_source_name(struct arena *a, const struct config *config, struct ip source);
const char *audit_target_name(struct arena *a, const struct config *config,
			      const struct audit_flow *flow);
/*
 * NULL: a policy would allow it. Else why none does: only "proto": "any" would, which is more than
 * anybody wants, or nothing would.
 */
const char *audit_without_policy(const struct config *config, const struct audit_source *source,
				 const struct audit_flow *flow);
