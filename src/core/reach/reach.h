/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who reaches whom: the new connections that a file lets through, as diagrams. Equal files of one
 * pool have equal diagrams, so "the same flows" is a proof. Built from the flows of the compiler,
 * not from the rules that were made of them. Pure.
 *
 * In this room:
 *     reach.h              what a file lets through
 *     diff.h               against another file
 *     query.h, question.h  a question, and the words that ask it
 *     path.h, explain.h    the way of one connection, and the answer
 *     traced.h             what the kernel did with one packet of it
 *     graph.h              a drawing
 *     live.h               connections that live now
 *     tests.h              the file's own tests
 *     words.h              flows in people's words
 */
#pragma once

#include "base/hash_index.h"
#include "core/compile/compile.h"
#include "core/flowset/diagram.h"
#include "core/ruleset/flows.h"

/* Values of FLOW_IN; names of interfaces follow. */
enum { REACH_IN_LOCAL, REACH_IN_OTHER, REACH_N_IN };
/* The value of FLOW_DST and FLOW_SRC for the namespace's own addresses, whichever they are. */
enum { REACH_SELF = 0 };

/* Leaves. From REACH_POLICY on, the number of a policy is added. */
enum reach_leaf {
	REACH_CLOSED,	 /* no policy admits it, and Docker does not */
	REACH_WITHIN,	 /* stays in one network: it passes no filter */
	REACH_TO_HOST,	 /* to the host itself: its own firewall decides */
	REACH_FROM_HOST, /* the host's own connection to a container */
	REACH_EGRESS,	 /* a container's connection to what is no network of the file */
	REACH_ELSEWHERE, /* neither end is a network of the file */
	REACH_POLICY,
};

/* Where a translation leads. */
struct reach_target {
	struct ip to;
	uint16_t to_port; /* 0: keep */
	bool masquerade;
};

/* What two files share, so that their diagrams can be compared. */
struct reach_pool {
	struct arena *a;
	struct diagram_pool *diagrams;
	LIST(struct { const char *name; }) interfaces; /* by value of FLOW_IN minus REACH_N_IN */
	struct hash_index by_name;
	LIST(struct reach_target) targets;
	struct hash_index by_target;
};

/* Of the host, or of a container: what is translated there. Leaves are policies. */
struct reach_space {
	const char *container; /* NULL: the host */
	const struct flows *flows;
	struct diagram doors;	    /* to the namespace's own addresses (REACH_SELF) */
	struct diagram masquerades; /* FLOW_IN is the interface where they leave */
};

struct reach {
	struct reach_pool *pool;
	const struct config *config;
	const struct resolution *resolution;
	const char *const *bridges; /* of each declared network; NULL: it has none */
	const bool *apart;	    /* its containers do not reach each other */
	const char *const *trusted; /* of each: bridges that it is made to let in, "a:b", or "" */
	struct diagram genuine;	    /* (source, interface) where the source is at home */
	struct diagram governed;    /* what policies admit, of genuine sources */
	struct diagram free;	    /* what no policy decides */
	struct diagram open;	    /* both; what is free counts first */
	LIST(struct reach_space) spaces; /* [0] is the host */
};

void reach_pool_init(struct reach_pool *pool, struct arena *a);
/* want: what compile() made of this config. All of it must outlive the result. */
void reach_build(struct reach *reach, struct reach_pool *pool, const struct config *config,
		 const struct resolution *resolution, const struct state *want);

/*
 * Allow policies of the file that decide about no connection: policies before them admit all that
 * they do, or the ends can't meet. dead: by index, all false.
 */
void reach_dead(bool *dead, struct arena *a, const struct reach *reach);

/* A new connection, as it arrives in a namespace. */
struct reach_flow {
	struct ip src, dst; /* family 0: the namespace's own */
	uint32_t in;	    /* a value of FLOW_IN */
	uint8_t proto;
	uint16_t port;
};

/* The declared network, of those that have a bridge, that an address is in; NONE: it is in none. */
uint32_t reach_network_of(const struct reach *reach, struct ip ip);
/* The value of an interface by name; REACH_IN_OTHER: nothing in the pool's files names it. */
uint32_t reach_interface(const struct reach_pool *pool, const char *name);
/* The same; from now on it has a value of its own. */
uint32_t reach_add_interface(struct reach_pool *pool, const char *name);
/* The number of a translation's target in the pool: equal ones have one number. */
uint32_t reach_target(struct reach_pool *pool, const struct translation *t);
uint32_t reach_ask(const struct reach *reach, struct diagram d, const struct reach_flow *flow);
