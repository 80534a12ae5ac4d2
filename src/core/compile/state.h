/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a Docker host, as far as harborwall has a say in it: want and have are both of this
 * type, and the difference between them is the only thing that leaves the house (core/plan/plan.h).
 */
#pragma once

#include "core/compile/routing.h"
#include "core/engine/engine.h"
#include "core/foreign/bridges.h"
#include "core/foreign/firewalld.h"
#include "core/foreign/walls.h"
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
 * filter that Docker (or nobody) uses: "-m mark --mark BITS/BITS -j ACCEPT". It stands at the top
 * of the chain, or behind the foreign rules in it: before the RETURN at the end of DOCKER-USER,
 * before Docker's own drops in raw PREROUTING.
 */
struct handoff {
	enum variant variant;
	const char *table, *chain; /* filter DOCKER-USER, filter FORWARD, raw PREROUTING */
	bool behind;		   /* the foreign rules */
	uint32_t bits;
	bool present;  /* of what was read: ours stands there */
	bool in_place; /* … where it is wanted, and only once */
};

/* Whether Docker >= 29 drops what comes to containers' own addresses from elsewhere. */
enum direct {
	DIRECT_UNKNOWN, /* nobody runs to whom it could */
	DIRECT_DROPPED,
	DIRECT_OPEN, /* dockerd --allow-direct-routing; or somebody flushed it */
};

/* Where the host sends what is for a prefix, and gets it from. */
struct host_route {
	struct prefix to; /* 0.0.0.0/0: the default route */
	const char *device;
};

/*
 * What the host holds beside Docker's own lists: routes and addresses, which may take packets away
 * from a network's subnet.
 */
struct host_prefix {
	struct prefix prefix;
	const char *device; /* "several interfaces" of a route with several next hops */
	const char *dead; /* it leads nowhere: "blackhole", "unreachable", …; NULL: it leads on */
};

/* Facts about the host that the compiler needs; probed by app/observe. */
struct facts {
	enum variant variant;  /* the one that Docker uses; without Docker the one in play */
	bool docker_user;      /* DOCKER-USER stands in that variant and FORWARD asks it first */
	bool docker_user_late; /* it stands, but behind Docker's own rules */
	enum backend backend;
	enum counters counters;
	bool mixed; /* Docker's chains stand in both variants */

	/* Docker's nftables backend (Docker >= 29), where it is the one that writes rules here. */
	bool docker_nftables;
	bool takes_mark;		    /* its chains accept our mark */
	const struct bridges_view *bridges; /* what stands in its table; NULL: nobody looked */
	enum direct direct;
	bool direct_doubted;		/* DIRECT_OPEN, and it was not a moment ago */
	bool direct_lost;		/* DIRECT_OPEN, and it was not since dockerd started */
	interfaces devices;		/* of the host, sorted */
	LIST(struct host_route) routes; /* of the host */

	const char *open_why;	 /* where docker_drops is false: what is missing */
	bool docker_drops;	 /* Docker's isolation and drops stand */
	bool drops_lost;	 /* they stood, and do not or not all of them do */
	bool raw_drops;		 /* Docker >= 28 drops in raw PREROUTING */
	bool no_filter;		 /* … and nothing else stands in that variant */
	bool no_nf_tables;	 /* the kernel has x_tables only */
	const char *elsewhere;	 /* where the engine may be, in words; NULL: here */
	const char *no_engine;	 /* there is none on this host: in what words; NULL: there is */
	bool bridges_unfiltered; /* what stays within a bridge passes no filter */
	int ip_forward;		 /* of the host; -1 unknown */
	bool forward_drop;	 /* policy of the variant's FORWARD chain is DROP */
	uint32_t user_end, raw_end, n_foreign; /* as struct filter_view has them */
	bool handoff_top; /* HARBORWALL_HANDOFF=top: before every foreign rule, also from outside */
	uint32_t mark_accept, mark_raw;
	struct firewalld firewalld;
	const struct host_prefix *routed; /* the host's routes and addresses; may be NULL */
	uint32_t n_routed;
	/* Of each container of the engine; NULL: nothing unusual is known. All may be NULL. */
	const struct routing *const *routings;
	const name_list *were_containers; /* `name`s of policies that are remembered, sorted */
	const char *forgotten; /* why nobody knows which were; NULL: were_containers are all */
};

/*
 * The whole connection mark of what was admitted once and is no more: no number that others happen
 * to write, and none that says "admitted".
 */
static inline uint32_t facts_revoked_mark(const struct facts *f)
{
	return 0x48575256 & ~(f->mark_accept | f->mark_raw);
}

/*
 * The bits that admitted packets bear between two containers, and their connections. From outside
 * it is the accept bit alone, so that bans come first. Docker's nftables backend may compare the
 * whole mark: no second bit there.
 */
static inline uint32_t mark_between(const struct facts *f)
{
	return f->docker_nftables ? f->mark_accept : f->mark_accept | f->mark_raw;
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
	wall_list walls;	       /* of what was read: other people's rules on the way */
	const char *not_searched;      /* … and why it could not be searched for them; or NULL */
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
	name_list named; /* containers that are a policy's `name`, or were: to be remembered */
};

/* Index of a container's namespace, or NONE. */
uint32_t state_find_space(const struct state *state, const char *container);

/* By destination, then by table. */
int route_compare(const struct route *a, const struct route *b);
/* Its routes, which are sorted, have one like this, or by another gateway. */
bool space_has_route(const struct space *space, const struct route *route, bool any_gateway);
