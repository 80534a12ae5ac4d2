/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that live now, each with the policy that admits it. Pure. */
#pragma once

#include "base/buf.h"
#include "core/plan/revoke.h"
#include "core/reach/query.h"

struct live {
	struct connection tuple;
	uint16_t sport;
	bool counted;		 /* the kernel counts: nf_conntrack_acct */
	uint64_t packets, bytes; /* in both directions */
	int64_t age_s;		 /* -1: the kernel does not note when connections begin */
	uint32_t policy;	 /* NONE: no policy that is wanted now */
};
typedef LIST(struct live) live_list;

/* By the host's translations, then by what policies admit. */
uint32_t live_policy(const struct reach *reach, const struct connection *tuple);

/* What is asked for: NULL, NONE: whoever, whichever. */
struct live_filter {
	const struct reach_end *from, *to;
	uint32_t policy;
};
bool live_is_asked(const struct live_filter *filter, const struct reach *reach,
		   const struct live *live);

/* The busiest first; the caller's list is sorted. */
void live_print(struct buf *out, const struct reach *reach, live_list *list);
void live_print_json(struct buf *out, const struct reach *reach, live_list *list);
