/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The difference between the wanted and the actual state, as steps in the order in which they are
 * taken: networks, connections, forwarding, routes, firewall, then removals. Pure: core makes the
 * list, app/pass/apply.c carries it out. A plan without steps is what "converged" means.
 *
 * In this room:
 *     plan.h                   steps
 *     observed.h               what stands
 *     choose.h                 variant and backend, from what was seen
 *     brake.h                  a file that takes too much away
 *     revoke.h                 live connections that end
 *     tally.h                  counters, by policy
 *     checkup.h, interfaces.h  what doctor and plan look for
 *     impl.h                   what the parts of the difference share
 */
#pragma once

#include "core/compile/findings.h"
#include "core/nft/nft.h"
#include "core/plan/observed.h"

enum step_kind {
	STEP_CREATE_NETWORK,
	STEP_DISCONNECT,
	STEP_CONNECT,
	STEP_FORWARDING,     /* ip_forward = 1 in a namespace */
	STEP_FORWARDING6,    /* net.ipv6.conf.all.forwarding = 1 */
	STEP_FORWARD_POLICY, /* DROP, as Docker would have set it */
	STEP_ADD_ROUTE,
	STEP_IPTABLES, /* one restore in one namespace, additions and changes */
	STEP_FIREWALL, /* one transaction in one namespace */
	STEP_ADD_HANDOFF,
	STEP_REMOVE_HANDOFF,
	STEP_ADOPT,	      /* rules without our mark that say what ours say */
	STEP_REMOVE_IPTABLES, /* chains of a variant or backend that is no longer in use */
	STEP_REMOVE_ROUTE,
	STEP_REMOVE_NETWORK,
};

/* What a firewall step sends; two around it, where nft_bridge_gap wants them. */
struct transactions {
	struct nft_batch before, batch, behind;
};

struct step {
	enum step_kind kind;
	char sign;		   /* '+' '-' '~' */
	const char *object, *text; /* "network", "web 172.18.103.0/24 gateway 172.18.103.1" */
	const char *why;	   /* "networks.web", "policies[3]", "left the file" */
	const char *network, *network_id, *container, *container_id;
	struct ip ip, ip6;
	bool managed;	 /* of a connection: the file declares it */
	bool comes_back; /* of a disconnection: a later step connects it again, as far as it can */
	const struct network *create; /* NULL: what was taken away, as it was */
	const char *replaces_id;      /* of a network to create: the one that goes before */
	uint32_t space;		      /* index into want->spaces; NONE: see have_space */
	uint32_t have_space;
	const struct route *route; /* these two stand in the states that were compared */
	const struct handoff *handoff;
	bool moves;		   /* ours stands, but not where it is wanted among foreign rules */
	struct transactions *send; /* of a firewall step, else NULL: routes are many */
	nft_changes changes;
	enum variant variant; /* of what the tools of iptables do */
	const char *restore;  /* what they are given */
	uint32_t depends_on;  /* index of a step that must have succeeded, or NONE */
};

/* It writes rules of ours, in either language. */
static inline bool step_is_rules(const struct step *step)
{
	return step->kind == STEP_FIREWALL || step->kind == STEP_IPTABLES;
}

struct plan {
	LIST(struct step) steps;
	struct findings findings;
	const char *flows;   /* what the file opens and closes, as printed; NULL: not compared */
	bool keep_networks;  /* set before: ours that left the file stay */
	bool adopt;	     /* set before: unmarked rules that say what ours say are removed */
	const char *replace; /* set before: this network is to be made anew, if it must be */
	const char *replace_refused; /* why it is not; NULL: it is, or nobody asked */
	LIST(const struct kept_endpoint *) obsolete; /* not to be made again any more */
};

/*
 * What other people's rules on the host do to the first packet of an admitted flow, in words with
 * what helps; NULL: it passes. first: as it is when it is forwarded; in and out are known.
 */
const char *walls_stop(struct arena *a, const struct config *config, const struct observed *seen,
		       const struct packet *first);

/* The last sequence numbers of batches are the caller's: each batch here starts at 1. */
void plan_diff(struct plan *plan, struct arena *a, const struct state *want,
	       const struct observed *observed, const struct config *config);

/* The batches' bytes; all else is the arena's. */
void plan_free(struct plan *plan);

/* For people (rules: with every change of a table), and for programs. */
void plan_print(struct buf *out, const struct plan *plan, const struct config *config, bool rules);
void plan_print_json(struct buf *out, const struct plan *plan, const struct observed *seen);
