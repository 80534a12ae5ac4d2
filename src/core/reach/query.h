/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Would these connections pass? Both ends may be many addresses; ports and protocols may be lists.
 * The answer is two sets, what passes and what does not, each with an example. Pure.
 */
#pragma once

#include "core/engine/engine.h"
#include "core/reach/reach.h"

enum end_kind {
	END_PEERS,     /* addresses: of containers, networks or the outside */
	END_ANY,       /* everybody that a policy's "any" means */
	END_OUTSIDE,   /* everything outside the file's networks */
	END_HOST,      /* this host */
	END_INTERFACE, /* as a source: what arrives there; as a destination: this host, from there
			*/
};

struct reach_end {
	enum end_kind kind;
	const char *name;	   /* as it was asked */
	const struct peers *peers; /* END_PEERS */
	uint32_t in;		   /* END_INTERFACE: a value of FLOW_IN */
};

struct reach_query {
	struct reach_end from, to;
	uint8_t family; /* 4 or 6: in this one alone; 0: in both */
	bool bound;	/* all of it comes in by `in` */
	bool borrowed;	/* … wherever its source is at home */
	uint32_t in;	/* a value of FLOW_IN */
	const struct traffic *matches;
	uint32_t n_matches;
};

struct reach_answer {
	struct diagram asked;	     /* what the question is about */
	struct diagram open, closed; /* its two parts; the leaves of `open` say why it passes */
};

void reach_query(struct reach_answer *answer, const struct reach *reach,
		 const struct reach_query *query);
/* An example: the first flow of the set. False: it is empty. */
bool reach_example(struct reach_flow *flow, const struct reach *reach, struct diagram set);

typedef LIST(struct reach_flow) flow_list;

enum { TRIES_MOST = 50 };

/*
 * The flows of a question that this host can try with packets of its own: from each source that is
 * a running container's address on a bridge, or this host, to each destination that is a
 * container's, by each protocol and list of ports. None: nobody here can send any of it. False:
 * there are more than TRIES_MOST, and the list ends there.
 */
bool reach_tries(flow_list *flows, struct arena *a, const struct reach *reach,
		 const struct engine *engine, const struct reach_query *query);
