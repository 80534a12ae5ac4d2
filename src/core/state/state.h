/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a Docker host, as far as harborwall manages it. Wanted and actual state have this
 * one type; their difference is the plan (core/plan/plan.h).
 *
 * In this room:
 *     state.h     networks, attachments, and for each namespace its rules and routes
 *     facts.h     what is known of the host
 *     findings.h  what people should know
 *     routing.h   routes and rules of others in a namespace
 */
#pragma once

#include "core/engine/engine.h"
#include "core/foreign/handoff.h"
#include "core/foreign/walls.h"
#include "core/iptables/leftovers.h"
#include "core/iptables/rules.h"
#include "core/ports/ports.h"
#include "core/ruleset/ruleset.h"
#include "core/state/routing.h"

struct route {
	struct prefix dst;
	struct ip via;	 /* family 0: dst is on the device itself */
	uint32_t origin; /* policy index, or NONE */
	uint32_t table;	 /* main, or the one that would lead elsewhere */
	uint32_t device; /* 0: the one that leads to via */
};

/* A network namespace that we write to: the host's, or a container's. */
struct space {
	const char *container; /* name; NULL: the host */
	const char *container_id;
	int pid;		   /* 0: not running; its rules and routes wait */
	bool reachable;		   /* of what was read */
	const char *obstacle;	   /* why it is not reachable; NULL if it is just not running */
	struct ruleset ruleset;	   /* table inet harborwall */
	struct ruleset bridge;	   /* host only: table bridge harborwall */
	const struct flows *flows; /* wanted spaces: the flows that the rules were made from */
	leftover_list leftovers;   /* actual spaces: unmanaged rules that duplicate ours */
	wall_list walls;	   /* actual spaces: other people's rules on the way */
	const char *not_searched;  /* why leftovers were not looked for; or NULL */
	ipt_chains chains;	   /* the iptables backends' */
	LIST(struct route) routes; /* of our protocol number */
	struct routing routing[N_FAMILIES]; /* of a container: as it was read */
	bool forward, forward6; /* of each family: it is (wanted) 1; wanted false: leave it */
	LIST(struct handoff) handoffs; /* host only */
	bool forward_drop;	       /* host only: FORWARD policy DROP (wanted false: leave it) */
	/* Of what was read of a container at a strict network: the host's number of it. */
	bool has_nsid;
	int32_t nsid;
};

/* A container on a network: one for the addresses of both families there. */
struct attachment {
	const char *container, *container_id; /* id NULL: no such container, waiting */
	const char *network;
	struct ip ip, ip6; /* family 0: none is declared */
	uint32_t address;  /* index into config->addresses of the first one, or NONE */
	bool managed;	   /* of what was read: bears our mark */
};

struct state {
	LIST(struct network) networks; /* wanted, or ours as the engine has them */
	LIST(struct attachment) attachments;
	LIST(struct space) spaces; /* [0] is the host; then containers, sorted by name */
	strict_list strict;	   /* wanted: networks whose ports are closed to each other */
	bridge_ports_list
		ports;	     /* what was read: of their bridges, and of those that were strict */
	const char *refused; /* why this host can't have it, so nothing changes; NULL: it can */
	/* containers that are or were a policy's `name`; saved in the state file */
	name_list named;
	network_bridges bridges; /* of networks that were there before us; saved there, too */
};

/* Index of a container's namespace, or NONE. */
uint32_t state_find_space(const struct state *state, const char *container);

/* By destination, then by table. */
int route_compare(const struct route *a, const struct route *b);
/* Its routes, which are sorted, have one like this, or by another gateway. */
bool space_has_route(const struct space *space, const struct route *route, bool any_gateway);
