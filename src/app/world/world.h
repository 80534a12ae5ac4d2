/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handles that live longer than a pass: the engine's client, the host's sockets, and what we
 * know of every container we looked at: its namespace, held open, and the marks of its connections.
 *
 * In this room:
 *     world.h    the handles
 *     known.h    what is known of containers
 *     saved.h    the state file
 *     written.h  sets that need not be read back
 */
#pragma once

#include "app/console/options.h"
#include "app/world/saved.h"
#include "core/foreign/bridges.h"
#include "core/foreign/handoff.h"
#include "core/plan/plan.h"
#include "core/plan/revoke.h"
#include "edge/docker/docker.h"
#include "edge/netlink/netns.h"

/*
 * What was read in a namespace. Valid until the kernel reports a change there (containers: rules,
 * routes and switches) or counts another generation of its rules (host).
 */
struct memory {
	struct arena arena;
	bool valid;
	bool believed; /* our sets were not read, because we wrote them (app/world/written.h) */
	uint32_t generation;
	struct space space;
	bool has_walls; /* other people's drops were read, too: where something is translated */
	bool has_ipv6;	/* of a container: its routes and rules of IPv6 were, too */
	const char *obstacle;	     /* why it could not be read, or NULL */
	struct filter_view filter;   /* host only: what its iptables-nft tables say … */
	struct filter_view filter6;  /* … of IPv6, too … */
	struct bridges_view bridges; /* … and Docker's own … */
	struct bridges_view bridges6;
	struct firewalld firewalld; /* … and firewalld's */
};

/* The host's sets as our own transactions left them (app/world/written.h). */
struct written {
	struct arena arena;
	struct ruleset sets;
	uint32_t expected; /* the generation, if nobody else has written since the last reading; or
			      0 */
};

/*
 * Connections of a namespace that must end, because the rules that admitted them are gone.
 * All-zero: none, and nothing was looked at yet.
 */
struct debt {
	bool began, owed;
	bool only_now;	 /* nothing was owed before this pass */
	bool blind;	 /* what the old rules admitted is unknown */
	bool translates; /* translations are new; older connections are not translated */
	struct arena arena;
	struct admission earlier; /* what the old rules admitted */
	uint64_t settled_for;	  /* the file for which nothing was owed */
};

/*
 * What inspect said of a container. Valid while the engine's list shows it unchanged and its first
 * process lives.
 */
struct known {
	char id[65];
	uint64_t fingerprint; /* hash of its entry in the list */
	bool inspected;
	struct engine_container container;
	struct arena arena; /* of the above */
	struct ns ns;
	bool open;    /* ns is open */
	bool visited; /* ns was read: what we put there is managed until it ends */
	struct debt debt;
	struct memory memory;
	/* a namespace that is slow to read: not before, and for this long */
	int64_t again_at_ms, rest_ms;
};

/* Where a known container is found. */
struct known_entry {
	uint64_t beginning; /* of its id; most comparisons need no more */
	struct known *known;
};

/* The engine's lists as they were last read. */
struct engine_memory {
	struct arena arena;
	struct engine said;
	bool valid; /* until we change something there */
};

/* The last pass, if it converged: its inputs and its findings. */
struct converged {
	uint64_t stamp; /* of all inputs but the file; 0: it did not converge */
	uint64_t file;	/* config's digest */
	struct arena arena;
	struct findings findings;
	LIST(struct handoff) handoffs;
	LIST(struct named_interface) interfaces; /* that policies name */
};

/* Docker's drops of direct access (Docker >= 29), and since when they are missing. */
enum { DIRECT_DOUBT_MS = 2000 };

struct direct_memory {
	uint64_t written;  /* bridges_view.written when the drops were there; 0: never seen */
	int64_t missed_at; /* ms: since when they are missing; 0: they are there */
};

/*
 * Containers that ended just now, by the engine's events: its list has them as running until it has
 * released their networks.
 */
enum { MOST_ENDED = 64, ENDED_MS = 5000 };

struct ended {
	uint64_t name; /* hash_text */
	int64_t until; /* ms */
};

struct world {
	const struct options *options;
	struct ended ended[MOST_ENDED]; /* a ring */
	uint32_t n_ended;		/* that were ever noted */
	struct docker *docker;
	struct saved saved;	     /* the state file */
	bool engine_is_asked_for;    /* DOCKER_HOST names it; otherwise it is only looked for at the
					usual place */
	bool closing;		     /* before the first pass: do not ask the engine */
	bool without_engine;	     /* go on if the engine does not answer */
	struct error engine_trouble; /* why the engine did not answer in the last pass */
	const char *replace;	     /* apply --replace: re-create this network if necessary */
	bool adopt;		     /* remove unmanaged rules that duplicate ours */
	bool look_for_leftovers;     /* or report them */
	bool keep_networks; /* clear without --networks: keep our networks that left the file */
	struct ns host;
	bool no_nf_tables;    /* the kernel has no nf_tables, as of the last pass */
	bool logs;	      /* the tools of the iptables backend can, and are not asked again */
	struct memory memory; /* of the host */
	struct written written;
	bool drops_stood; /* Docker's drops were there in some pass since its events are followed */
	struct direct_memory direct[N_FAMILIES];
	struct engine_memory engine;
	bool use_cached_engine; /* set before a pass: do not ask the engine */
	struct converged converged;
	LIST(struct refusal) refusals; /* connections that the engine refused recently */
	struct arena of_refusals;
	int events; /* epoll of every namespace's events: readable after a change */
	/* iptables-legacy reports nothing, so a timer is among the events */
	int legacy, legacy6, legacy_timer;
	bool legacy6_stands;	   /* ip6tables-legacy has a filter table, too */
	uint64_t legacy_hash;	   /* of its filter when it was last read, in both families */
	struct known_entry *known; /* sorted by id */
	uint32_t n_known, cap_known;
	struct debt debt; /* of the host */
	/* What the last pass wanted of the ports of bridges; a timer looks at some of it. */
	struct port_watch ports;
	int ports_timer;
	bool looked_for_ports;	/* no bridge bears our mark, when this was looked for last */
	bool looked_everywhere; /* every running container was searched for leftovers once */
};

/* Closing a descriptor removes it from the epoll. */
void world_listen_to(struct world *w, const struct ns *ns);
/* iptables-legacy reports no changes: looks at it from time to time, or not any more. */
void world_watch_legacy(struct world *w, bool on);
/* It is read now: what changes from now on is a change. */
void world_note_legacy(struct world *w);
/* Listens to changes of the ports of strict networks, or not any more. */
void world_watch_ports(struct world *w, bool on);
/*
 * Reads the events. True: somebody else changed something that we manage. Closes ports that are new
 * at strict networks at once.
 */
bool world_heard_changes(struct world *w);
/* The same of the host's namespace alone: also while a pass is being made. */
bool world_heard_host(struct world *w);
/* The engine says that this container ended, or started again; NULL: nothing is known any more. */
void world_note_ended(struct world *w, const char *container);
void world_forget_ended(struct world *w, const char *container);
bool world_has_ended(const struct world *w, const char *container);
/*
 * A connection that the engine refused is not tried again for a while, because each try disconnects
 * the container.
 */
void refusals_forget(struct world *w);
void refusals_expire(struct world *w);
MUST_CHECK bool world_open(struct world *w, const struct options *options, struct error *err);
void world_close(struct world *w);
