/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of one new connection: what decides about it, in the order in which its first packet
 * meets it. Pure.
 *
 * In this room:
 *     path.h    the prediction
 *     traced.h  what the kernel did with one packet of it
 *     impl.h    what the parts of the prediction share
 */
#pragma once

#include "core/plan/plan.h"
#include "core/reach/reach.h"

enum hop_kind {
	HOP_GOES_ON,	/* nothing stops it here */
	HOP_ADMITS,	/* a policy admits it */
	HOP_TRANSLATES, /* it continues to another address */
	HOP_STOPS,
	HOP_ARRIVES,
};

extern const char *const hop_words[]; /* "goes on", "admitted", "translated", … */

struct hop {
	enum hop_kind kind;
	const char *container; /* whose namespace; NULL: the host's */
	const char *stage;     /* hook or chain: "nat PREROUTING", "forward", "DOCKER-USER" */
	const char *text;
	uint32_t policy; /* the policy that decides here, or NONE */
};

struct reach_path {
	LIST(struct hop) hops;
	bool allowed;
	uint32_t policy;	/* the last policy that admitted it, or NONE */
	struct reach_flow last; /* the flow as it arrived, or as it was stopped */
};

/* seen: with other people's rules on the host; NULL: without them. */
void reach_walk(struct reach_path *path, struct arena *a, const struct reach *reach,
		const struct facts *facts, const struct observed *seen,
		const struct reach_flow *flow);

/* A description of an address: its container, its network and address, or "this host". */
const char *reach_name(struct arena *a, const struct reach *reach, struct ip ip);
/* The same of its source; what the host itself begins is not named by its address. */
const char *reach_sender(struct arena *a, const struct reach *reach, const struct reach_flow *flow);
