/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handles that live longer than a pass: the engine's client, the host's sockets, and what we
 * know of every container we looked at: its namespace, held open, and the marks of its connections.
 */
#pragma once

#include "app/console/options.h"
#include "app/pass/saved.h"
#include "core/foreign/bridges.h"
#include "core/foreign/handoff.h"
#include "core/plan/plan.h"
#include "core/plan/revoke.h"
#include "edge/docker/docker.h"
#include "edge/netlink/netns.h"

/*
 * What was read in a namespace, good until the kernel tells of a change there (a container's: it
 * reports rules, routes and switches) or counts another generation of its rules (the host's).
 */
struct memory {
	struct arena arena;
	bool valid;
	bool believed; /* sets of ours were not read, for we wrote them (app/pass/written.h) */
	uint32_t generation;
	struct space space;
	bool has_walls;		     /* they were looked for, too: where something is translated */
	const char *obstacle;	     /* why it could not be read, or NULL */
	struct filter_view filter;   /* host only: what its iptables-nft tables say … */
	struct filter_view filter6;  /* … of IPv6, too … */
	struct bridges_view bridges; /* … and Docker's own … */
	struct bridges_view bridges6;
	struct firewalld firewalld; /* … and firewalld's */
};

/* The host's sets as our own transactions left them (app/pass/written.h). */
struct written {
	struct arena arena;
	struct ruleset sets;
	uint32_t expected; /* the generation, if nobody else wrote since the last reading; or 0 */
};

/*
 * Connections of a namespace that are to end, because the rules that admitted them went. All-zero:
 * none, and nothing was looked at yet.
 */
struct debt {
	bool began, owed;
	bool only_now;	 /* nothing was owed before this pass */
	bool blind;	 /* what the rules admitted is not known */
	bool translates; /* translations came that older connections know nothing of */
	struct arena arena;
	struct admission earlier; /* what they admitted */
	uint64_t settled_for;	  /* the file for which nothing was owed */
};

/*
 * What inspect said of a container, good for as long as the engine's list shows it unchanged and
 * its first process lives.
 */
struct known {
	char id[65];
	uint64_t fingerprint; /* of the list entry it belongs to */
	bool inspected;
	struct engine_container container;
	struct arena arena; /* of the above */
	struct ns ns;
	bool open;    /* ns is */
	bool visited; /* looked into: what we put there is looked after until it ends */
	struct debt debt;
	struct memory memory;
	int64_t again_at_ms, rest_ms; /* where reading it takes too long: not before, and so long */
};

/* Where it is found. */
struct known_entry {
	uint64_t beginning; /* of its id: all that most comparisons look at */
	struct known *known;
};

/* The engine's lists as they were told last. */
struct engine_memory {
	struct arena arena;
	struct engine said;
	bool valid; /* until we change something there */
};

/* The last pass, if it planned nothing: what its inputs were, and what it had to say. */
struct converged {
	uint64_t stamp; /* of the world; 0: it planned something */
	uint64_t file;	/* config's digest */
	struct arena arena;
	struct findings findings;
	LIST(struct handoff) handoffs;
	LIST(struct named_interface) interfaces; /* that policies name */
};

/* Docker's drops of direct access (Docker >= 29), and how long they may be missing. */
enum { DIRECT_DOUBT_MS = 2000 };

struct direct_memory {
	uint64_t written;  /* what filter-FORWARD was when they stood; 0: never seen */
	int64_t missed_at; /* ms: since when they do not; 0: they do */
};

struct world {
	const struct options *options;
	struct docker *docker;
	struct saved saved;	  /* the state file */
	bool engine_is_asked_for; /* by DOCKER_HOST, not only looked for where it usually is */
	bool without_engine;	  /* go on where the engine does not answer: enforce what can be */
	struct error engine_trouble; /* what it did instead of answering, in the last pass */
	const char *replace;	     /* this network is made anew, if it must be: apply --replace */
	bool adopt;		     /* take over rules without our mark … */
	bool look_for_leftovers;     /* … or say which there are */
	bool keep_networks;	     /* ours that left the file stay: clear without --networks */
	struct ns host;
	bool no_nf_tables;    /* the kernel's, as of the last pass */
	struct memory memory; /* of the host */
	struct written written;
	bool drops_stood; /* Docker's, in some pass since its events are followed */
	struct direct_memory direct;
	struct engine_memory engine;
	bool use_cached_engine; /* set before a pass: do not ask the engine */
	struct converged converged;
	LIST(struct refusal) refusals; /* connections that the engine refused a short while ago */
	struct arena of_refusals;
	int events; /* epoll of every namespace's: readable when somebody changed something */
	int legacy, legacy_timer;  /* asked, for it tells nothing itself: among the events */
	uint64_t legacy_hash;	   /* of its filter when it was read last */
	struct known_entry *known; /* sorted by id */
	uint32_t n_known, cap_known;
	struct debt debt;	/* of the host */
	bool looked_everywhere; /* every running container was searched for leftovers of ours once
				 */
};

/* A closed descriptor leaves the epoll by itself. */
void world_listen_to(struct world *w, const struct ns *ns);
/* Takes the news. True: somebody else changed what we look after. */
bool world_heard_changes(struct world *w);
MUST_CHECK bool world_open(struct world *w, const struct options *options, struct error *err);
void world_close(struct world *w);
