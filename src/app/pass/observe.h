/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands: the engine's lists, the facts of the host, our objects in every namespace that
 * matters. observe_host comes first, for compile() needs the engine and the facts; then
 * observe_containers reads the namespaces that are wanted, and on the first pass all others too.
 */
#pragma once

#include "app/pass/world.h"

struct place {
	const struct ns *ns;
	struct memory *memory; /* not valid once we change something there */
	struct known *known;   /* NULL: the host */
};

struct view {
	struct engine engine;
	struct facts facts;
	struct observed seen;	     /* engine, facts and have, as plan_diff takes them */
	LIST(struct place) places;   /* of seen.have.spaces */
	struct known **known;	     /* of each container of the engine; NULL: nothing */
	const char *save, *save_raw; /* of the host's legacy tables; "": not there */
	uint64_t routings;	     /* what facts.routings say, in a number */
	bool anybody_gone; /* a process is not, or no longer, the container's: ask again */
};

MUST_CHECK bool observe_host(struct view *view, struct arena *a, struct world *w,
			     struct error *err);
/*
 * Gives compile() what is known by now of containers' own routes and rules. True: it is not what it
 * was given before.
 */
bool observe_routings(struct view *view, struct arena *a, const struct world *w);
/* Whether the interfaces that policies name are there, in the namespaces that can be entered. */
void observe_interfaces(struct view *view, struct arena *a, const struct state *want);
/* A namespace of the host or of a container that is looked after; taken for there if not. */
bool world_has_interface(const struct world *w, const struct named_interface *interface);
/* Of the host's legacy tables, which are read in every pass: other people's rules on the way. */
void observe_walls(struct view *view, struct arena *a);
/* Unmarked rules that say what ours say, in the namespaces that are wanted. */
MUST_CHECK bool observe_leftovers(struct view *view, struct arena *a, const struct state *want,
				  struct error *err);
MUST_CHECK bool observe_containers(struct view *view, struct arena *a, struct world *w,
				   const struct state *want, struct error *err);
