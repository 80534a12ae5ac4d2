/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a Docker host, as far as harborwall has a say in it: want and have are both of this
 * type, and the difference between them is the only thing that leaves the house (core/plan/plan.h).
 */
#pragma once

#include "core/engine/engine.h"
#include "core/compile/routing.h"
#include "core/foreign/firewalld.h"
#include "core/iptables/rules.h"
#include "core/ruleset/ruleset.h"

/*
 * Whether every policy counts what it lets through. A counter of its own for every element makes a
 * large load twice to five times as long, so by itself only a small file has them.
 */
enum counters { COUNTERS_AUTO, COUNTERS_ON, COUNTERS_OFF };
enum { COUNTERS_MOST = 500 }; /* policies that have them by themselves */

/* In which language the rules are written. */
enum backend { BACKEND_NFTABLES, BACKEND_IPTABLES };

/*
 * One rule of ours in a foreign chain, which hands the verdict of our table over to the packet
 * filter that Docker (or nobody) uses: "-m mark --mark BITS/BITS -j ACCEPT", at its top. */
struct handoff {
	enum variant variant;
	const char *table, *chain; /* filter DOCKER-USER, filter FORWARD, raw PREROUTING */
	uint32_t bits;
	bool present; /* of what was read: ours stands there */
	bool on_top;  /* … before every foreign rule, and only once */
};

/*
 * What the host holds beside Docker's own lists: routes and addresses that a new network's subnet
 * must not overlap.
 */
struct host_prefix {
	struct prefix prefix;
	const char *device;
};

/* Facts about the host that the compiler needs; probed by app/observe. */
struct facts {
	enum variant variant;  /* the one that Docker uses; without Docker the one in play */
	bool docker_user;      /* DOCKER-USER stands in that variant and FORWARD asks it first */
	bool docker_user_late; /* it stands, but behind Docker's own rules */
	enum backend backend;
	enum counters counters;
	bool docker_nftables;  /* Docker >= 29 writes nf_tables tables of its own … */
	bool mixed;	       /* Docker's chains stand in both variants */
	bool takes_mark;       /* … and accepts our mark there */
	const char *open_why;  /* where docker_drops is false: what is missing */
	bool docker_drops;     /* Docker's isolation and drops stand */
	bool raw_drops;	       /* Docker >= 28 drops in raw PREROUTING */
	bool no_filter;	       /* … and nothing else stands in that variant */
	bool no_nf_tables;     /* the kernel has x_tables only */
	const char *no_engine; /* there is none on this host: in what words; NULL: there is */
	int ip_forward;	       /* of the host; -1 unknown */
	bool forward_drop;     /* policy of the variant's FORWARD chain is DROP */
	uint32_t mark_accept, mark_raw;
	struct firewalld firewalld;
	const struct host_prefix *routed; /* the host's routes; may be NULL */
	uint32_t n_routed;
	/* Of each container of the engine; NULL: nothing unusual is known. All may be NULL. */
	const struct routing *const *routings;
};

/*
 * The whole connection mark of what was admitted once and is no more: no number that others happen
 * to write, and none that says "admitted".
 */
static inline uint32_t facts_revoked_mark(const struct facts *f)
{
	return 0x48575256 & ~(f->mark_accept | f->mark_raw);
}

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
	int pid;		       /* 0: not running, the space waits */
	bool reachable;		       /* of what was read */
	const char *obstacle;	       /* why it is not, if that is no matter of course */
	struct ruleset ruleset;	       /* table inet harborwall */
	const struct flows *flows;     /* of what is wanted: what its rules were made of */
	leftover_list leftovers;       /* of what was read: somebody wrote these without a mark */
	ipt_chains chains;	       /* the iptables backends' */
	LIST(struct route) routes;     /* of our protocol number */
	struct routing routing;	       /* of what was read of a container */
	bool forward;		       /* ip_forward is (wanted) 1; wanted false: leave it */
	LIST(struct handoff) handoffs; /* host only */
	bool forward_drop;	       /* host only: FORWARD policy DROP (wanted false: leave it) */
};

struct attachment {
	const char *container, *container_id; /* id NULL: no such container, waiting */
	const char *network;
	struct ip ip;
	uint32_t address; /* index into config->addresses, or NONE */
	bool managed;	  /* of what was read: bears our mark */
};

struct state {
	LIST(struct network) networks; /* wanted, or ours as the engine has them */
	LIST(struct attachment) attachments;
	LIST(struct space) spaces; /* [0] is the host; then containers, sorted by name */
};

/* Index of a container's namespace, or NONE. */
uint32_t state_find_space(const struct state *state, const char *container);

/* By destination, then by table. */
int route_compare(const struct route *a, const struct route *b);
/* Its routes, which are sorted, have one like this, or by another gateway. */
bool space_has_route(const struct space *space, const struct route *route, bool any_gateway);
