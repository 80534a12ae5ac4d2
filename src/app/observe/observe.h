/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the actual state: the engine's lists, the facts of the host, our objects in every namespace
 * that matters. observe_host comes first, because compile() needs the engine and the facts. Then
 * observe_containers reads the wanted namespaces, and in the first pass all others too.
 *
 * In this room:
 *     observe.h  what a pass sees
 *     facts.h    what compile() must know of the host
 *     place.h    the engine's namespace or another one
 */
#pragma once

#include "app/world/world.h"

struct place {
	const struct ns *ns;
	struct memory *memory; /* invalid as soon as we change something there */
	struct known *known;   /* NULL: the host */
};

struct view {
	struct engine engine;
	struct facts facts;
	struct observed seen;	       /* engine, facts and have, as plan_diff takes them */
	LIST(struct place) places;     /* of seen.have.spaces */
	struct known **known;	       /* of each container of the engine; NULL: nothing */
	const char *save, *save_raw;   /* of the host's legacy tables; "": there are none */
	const char *save6, *save6_raw; /* the same of ip6tables */
	uint64_t routings;	       /* a hash of facts.routings */
	bool anybody_gone; /* a process is no longer the container's: ask the engine again */
};

MUST_CHECK bool observe_host(struct view *view, struct arena *a, struct world *w,
			     struct error *err);
/* What matters only where the file declares IPv6: forwarding, and routes of the host's. */
MUST_CHECK bool observe_ipv6(struct view *view, struct arena *a, const struct world *w,
			     struct error *err);
/*
 * The ports of strict networks' bridges, and of those that were strict before. What the file does
 * not want is looked for in the first pass, and until nothing of it is left.
 */
MUST_CHECK bool observe_ports(struct view *view, struct arena *a, struct world *w,
			      const struct config *config, struct error *err);
/*
 * Gives compile() what is known about containers' own routes and rules. True: it has changed since
 * the last call.
 */
bool observe_routings(struct view *view, struct arena *a, const struct world *w);
/* Whether the interfaces that policies name exist, in namespaces that can be entered. */
void observe_interfaces(struct view *view, struct arena *a, const struct state *want);
/* Whether an interface exists on the host or in a container. If that is unknown: true. */
bool world_has_interface(const struct world *w, const struct named_interface *interface);
/* Reads the host's legacy tables for other people's rules. They are read in every pass. */
void observe_walls(struct view *view, struct arena *a);
/* Unmanaged rules that duplicate ours, in the wanted namespaces. */
MUST_CHECK bool observe_leftovers(struct view *view, struct arena *a, const struct state *want,
				  struct error *err);
MUST_CHECK bool observe_containers(struct view *view, struct arena *a, struct world *w,
				   const struct state *want, struct error *err);
