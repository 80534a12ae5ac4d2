/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a policy lacks that would have admitted a flow, and one that would. Pure. */
#pragma once

#include "core/reach/reach.h"

/* The policy that nearly admits a flow that none admits. */
struct nearest {
	uint32_t policy; /* NONE: no policy is about any part of it */
	const char *why; /* why it does not admit the flow: "it is for port 5433/tcp" */
};

struct nearest reach_nearest(struct arena *a, const struct reach *reach,
			     const struct reach_flow *flow);

/* A policy for the file that would admit the flow: {"selector": "db", "from": …}. */
const char *reach_remedy(struct arena *a, const struct reach *reach, const struct reach_flow *flow);
