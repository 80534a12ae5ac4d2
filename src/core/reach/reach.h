/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who reaches whom: the new connections that a file lets through, as diagrams. Equal files of one
 * pool have equal diagrams, so "the same flows" is a proof. Built from the flows of the compiler,
 * not from the rules that were made of them. Pure.
 *
 * In this room:
 *     pool.h   interfaces and targets, as numbers in diagrams
 *     reach.h  what a file lets through
 *     diff.h   against another file
 *     query.h  a question, as sets
 */
#pragma once

#include "base/hash_index.h"
#include "core/compile/compile.h"
#include "core/flows/flows.h"
#include "core/flowset/sets.h"
#include "core/reach/pool.h"
#include "core/resolve/idle.h"

/* Leaves. REACH_POLICY + n: policy n admits it. */
enum reach_leaf {
	REACH_CLOSED,	 /* no policy admits it, and Docker does not either */
	REACH_WITHIN,	 /* stays in one network: it passes no filter */
	REACH_TO_HOST,	 /* to the host: its own firewall decides */
	REACH_FROM_HOST, /* the host's own connection to a container */
	REACH_EGRESS,	 /* from a container to the outside */
	REACH_ELSEWHERE, /* neither end is in a network of the file */
	REACH_POLICY,
};

/* Translations on the host or in a container. Leaves are policies. */
struct reach_space {
	const char *container; /* NULL: the host */
	const struct flows *flows;
	struct diagram doors;	    /* connections to the namespace's own addresses (REACH_SELF) */
	struct diagram masquerades; /* masqueraded flows; FLOW_IN is the outgoing interface */
};

struct reach {
	struct reach_pool *pool;
	const struct config *config;
	const struct resolution *resolution;
	const char *const *bridges; /* of each declared network; NULL: it has no bridge */
	const bool *apart;	    /* its containers do not reach each other */
	const char *const *trusted; /* of each: bridges that it is made to let in, "a:b", or "" */
	struct diagram genuine;	    /* (source, interface) pairs where the source is at home */
	struct diagram governed;    /* what policies admit or lift, from genuine sources */
	struct diagram free;	    /* what no policy decides */
	struct diagram open;	    /* governed and free; free counts first */
	struct diagram spared;	    /* what policies would lift if audited networks were denied */
	LIST(struct reach_space) spaces; /* [0] is the host */
};

/* want: the result of compile() for this config. All arguments must outlive the reach. */
void reach_build(struct reach *reach, struct reach_pool *pool, const struct config *config,
		 const struct resolution *resolution, const struct state *want);

/* NULL: nothing is translated or masqueraded there. container NULL: the host. */
const struct reach_space *reach_find_space(const struct reach *reach, const char *container);

/* What one policy says in one namespace, whatever others say. Grants: on the host alone. */
struct reach_part {
	struct diagram grants, doors, masquerades;
};
void reach_part(struct reach_part *part, const struct reach *reach, const struct reach_space *space,
		uint32_t policy);

/*
 * The doors with other leaves: leads[i] for translation i, and behind them for what the host itself
 * begins; 0: it does not count.
 */
struct diagram reach_leads(const struct reach *reach, const struct reach_space *space,
			   const uint32_t *leads);

/*
 * Finds the policies whose flows earlier ones have, together if need be, and those that no packet
 * is about. A translation may be covered by any one that comes first in the chain. Left out is what
 * depends on the engine: translations whose `name` the file does not know. The first IDLE_SHOWN are
 * found with those that cover them.
 */
void reach_idle(struct idle_list *idle, struct arena *a, const struct reach *reach);

/* A new connection when it arrives in a namespace. */
struct reach_flow {
	struct ip src, dst; /* family 0: the namespace's own address */
	uint32_t in;	    /* a value of FLOW_IN */
	uint8_t proto;
	uint16_t port;
};

/* The declared network, of those that have a bridge, that an address is in; NONE: it is in none. */
uint32_t reach_network_of(const struct reach *reach, struct ip ip);
/* The subnets of all declared networks that have a bridge, as ranges of addresses. */
range_list reach_subnets(const struct reach *reach, struct arena *a);
/* Those of one network, of both families. */
void add_subnets(range_list *ranges, struct arena *a, const struct network *network);
/* What comes in by this interface (a value of FLOW_IN) comes from a network with egress deny. */
bool reach_is_denied(const struct reach *reach, uint32_t in);
/* It comes from a network with egress audit, and with deny no policy would lift it. */
bool reach_would_be_denied(const struct reach *reach, const struct reach_flow *flow);
/* It is one of the host's own addresses, as far as the file tells. */
bool reach_is_hosts(const struct reach *reach, struct ip ip);
uint32_t reach_ask(const struct reach *reach, struct diagram d, const struct reach_flow *flow);
