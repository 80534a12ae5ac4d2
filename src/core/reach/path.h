/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way of one new connection: what decides about it, in the order in which it is met. Pure. */
#pragma once

#include "core/plan/plan.h"
#include "core/reach/reach.h"

enum hop_kind {
	HOP_GOES_ON,	/* nothing here keeps it */
	HOP_ADMITS,	/* a policy lets it through */
	HOP_TRANSLATES, /* it goes on to another address */
	HOP_STOPS,
	HOP_ARRIVES,
};

extern const char *const hop_words[]; /* "goes on", "admitted", "translated", … */

struct hop {
	enum hop_kind kind;
	const char *container; /* in whose namespace; NULL: the host's */
	const char *stage;     /* hook or chain: "nat PREROUTING", "forward", "DOCKER-USER" */
	const char *text;
	uint32_t policy; /* that decides here, or NONE */
};

struct reach_path {
	LIST(struct hop) hops;
	bool allowed;
	uint32_t policy;	/* the last that admitted it, or NONE */
	struct reach_flow last; /* as it was when it arrived, or was stopped */
};

/* seen: other people's rules on the way count, too; NULL: nobody looked at the host. */
void reach_walk(struct reach_path *path, struct arena *a, const struct reach *reach,
		const struct facts *facts, const struct observed *seen,
		const struct reach_flow *flow);

/* The policy that comes nearest to admitting a flow that none admits. */
struct nearest {
	uint32_t policy; /* NONE: there is none that is about any of it */
	const char *why; /* what keeps it from that: "it is for port 5433/tcp" */
};

struct nearest reach_nearest(struct arena *a, const struct reach *reach,
			     const struct reach_flow *flow);

/* A policy, as the file would have it, that admits the flow: {"selector": "db", "from": …}. */
const char *reach_remedy(struct arena *a, const struct reach *reach, const struct reach_flow *flow);
/* What an address is called: its container, its network and address, "this host". */
const char *reach_name(struct arena *a, const struct reach *reach, struct ip ip);
