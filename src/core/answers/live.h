/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Live connections, each with the policy that admits it. Pure. */
#pragma once

#include "base/buf.h"
#include "core/plan/revoke.h"
#include "core/reach/query.h"

struct live {
	struct connection tuple;
	uint16_t sport;
	bool counted;		 /* the kernel counts bytes (nf_conntrack_acct) */
	uint64_t packets, bytes; /* in both directions */
	int64_t age_s;		 /* -1: the kernel does not record when connections begin */
	uint32_t policy;	 /* NONE: no policy of the file admits it */
};
typedef LIST(struct live) live_list;

/* Looks at the host's translations, then at the policies. */
uint32_t live_policy(const struct reach *reach, const struct connection *tuple);

/* Filters: NULL or NONE means all. */
struct live_filter {
	const struct reach_end *from, *to;
	uint32_t policy;
};
bool live_is_asked(const struct live_filter *filter, const struct reach *reach,
		   const struct live *live);

/* Prints the busiest first; sorts the caller's list. */
void live_print(struct buf *out, const struct reach *reach, live_list *list);
void live_print_json(struct buf *out, const struct reach *reach, live_list *list);
