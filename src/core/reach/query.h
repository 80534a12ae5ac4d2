/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Would these connections pass? Both ends may be many addresses, ports and protocols lists: what
 * passes of them and what does not are two sets, each with the flow that is told as an example.
 * Pure.
 */
#pragma once

#include "core/reach/reach.h"

enum end_kind {
	END_PEERS,     /* addresses, of containers, networks or the world outside */
	END_ANY,       /* whoever a policy's "any" stands for */
	END_OUTSIDE,   /* what is no network of the file */
	END_HOST,      /* this host */
	END_INTERFACE, /* as a source: what comes in there; as a destination: this host behind it */
};

struct reach_end {
	enum end_kind kind;
	const char *name;	   /* as it was asked */
	const struct peers *peers; /* END_PEERS */
	uint32_t in;		   /* END_INTERFACE: a value of FLOW_IN */
};

struct reach_query {
	struct reach_end from, to;
	const struct traffic *matches;
	uint32_t n_matches;
};

struct reach_answer {
	struct diagram asked;	     /* what the question is about */
	struct diagram open, closed; /* its two parts; leaves of `open` say why */
};

void reach_query(struct reach_answer *answer, const struct reach *reach,
		 const struct reach_query *query);
/* A flow of the set: the first one, for an example. False: it is empty. */
bool reach_example(struct reach_flow *flow, const struct reach *reach, struct diagram set);
