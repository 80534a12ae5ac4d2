/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the compiler must know of a host, and how plan, status and doctor tell it: on one line, and
 * for programs.
 */
#pragma once

#include "base/buf.h"
#include "core/engine/engine.h"
#include "core/flows/hooks.h"
#include "core/flows/interfaces.h"
#include "core/foreign/bridges.h"
#include "core/foreign/firewalld.h"
#include "core/foreign/variant.h"
#include "core/state/routing.h"

/*
 * Whether every policy counts what it lets through. A counter of its own for every element makes a
 * large load twice to five times as long, so by itself only a small file has them.
 */
enum counters { COUNTERS_AUTO, COUNTERS_ON, COUNTERS_OFF };
enum { COUNTERS_MOST = 500 }; /* policies that have them by themselves */

/* In which language the rules are written. */
enum backend { BACKEND_NFTABLES, BACKEND_IPTABLES };

/* Whether Docker >= 29 drops what comes to containers' own addresses from elsewhere. */
enum direct {
	DIRECT_UNKNOWN, /* no container runs there */
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
	const char *device; /* "several interfaces" for a route with several next hops */
	const char *dead; /* it leads nowhere: "blackhole", "unreachable", …; NULL: it leads on */
	bool advertised;  /* by a router of IPv6 */
};

/*
 * What Docker's filter does with IPv6, which has tables of its own. Engines before 27 write nothing
 * of it unless dockerd has --ip6tables, later ones do unless it has --ip6tables=false.
 */
struct filter6 {
	enum variant variant;
	bool exists;	   /* a filter table with a FORWARD chain … */
	bool docker_user;  /* … that asks DOCKER-USER first */
	bool docker_drops; /* Docker's isolation and drops stand */
	bool raw_drops;
	uint32_t user_end, raw_end; /* as struct filter_view has them */
	const char *open_why;	    /* where docker_drops is false: what is missing */
	/* As in struct facts, of Docker's nftables backend: */
	const struct bridges_view *bridges;
	enum direct direct;
	bool direct_lost;
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
	interfaces strict_ports; /* that stand at bridges of strict networks, sorted */
	bool docker_drops;	 /* Docker's isolation and drops stand */
	bool drops_lost;	 /* they stood earlier, and some are missing now */
	bool raw_drops;		 /* Docker >= 28 drops in raw PREROUTING */
	bool no_filter;		 /* … and nothing else stands in that variant */
	/* Of an iptables backend: what its tools say if they, or the kernel, can't log. */
	const char *unlogged;
	bool no_nf_tables;	 /* the kernel has no nf_tables, only x_tables */
	const char *elsewhere;	 /* where the engine seems to be, in words; NULL: on this host */
	const char *no_engine;	 /* there is none on this host: in what words; NULL: there is */
	bool bridges_unfiltered; /* packets within a bridge pass no filter */
	int ip_forward;		 /* of the host; -1 unknown */
	struct filter6 six;
	/*
	 * Why forwarding of IPv6 must not be turned on, and what helps; NULL: it is on, or may be.
	 */
	const char *no_forward6;
	bool forward_drop;		       /* policy of the variant's FORWARD chain is DROP */
	uint32_t user_end, raw_end, n_foreign; /* as struct filter_view has them */
	bool handoff_top; /* HARBORWALL_HANDOFF=top: before every foreign rule, also from outside */
	uint32_t mark_accept, mark_raw;
	struct firewalld firewalld;
	const struct host_prefix *routed; /* the host's routes and addresses; may be NULL */
	uint32_t n_routed;
	/*
	 * Of each container of the engine and each family; NULL: nothing unusual is known. All may
	 * be NULL.
	 */
	const struct routing *const (*routings)[N_FAMILIES];
	const name_list *were_containers;    /* `name`s of policies that are remembered, sorted */
	const network_bridges *bridges_were; /* in the last pass with an engine; may be NULL */
	const char *forgotten; /* why the remembered names were lost; NULL: they are complete */
};

/* "Docker 28.5.2, API 1.51; iptables-nft: DOCKER-USER, raw drops; backend nftables" */
void facts_print(struct buf *out, const struct engine *engine, const struct facts *f);
/* The members of an object, each on a line of its own behind indent, without the braces. */
void facts_print_json(struct buf *out, const struct engine *engine, const struct facts *f,
		      const char *indent);
/*
 * Of what decides which rules are wanted: scalars and bits, from which what open_why says follows.
 */
uint64_t facts_digest(const struct facts *f);
/* Where our rules meet Docker's, and with which marks. */
struct hooks facts_hooks(const struct facts *f);
/* The same in ip6tables. */
struct hooks facts_hooks6(const struct facts *f);
/* Of iptables or of ip6tables: where the iptables backends write their chains on the host. */
enum variant facts_variant(const struct facts *f, uint8_t family);
