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

#include "core/nft/nft.h"
#include "core/plan/observed.h"
#include "core/state/findings.h"

enum step_kind {
	STEP_CREATE_NETWORK,
	STEP_DISCONNECT,
	STEP_CONNECT,
	STEP_FORWARDING,     /* ip_forward = 1 in a namespace */
	STEP_FORWARDING6,    /* net.ipv6.conf.all.forwarding = 1 */
	STEP_FORWARD_POLICY, /* DROP, as Docker would have set it */
	STEP_ADD_ROUTES,     /* all that one namespace lacks */
	STEP_IPTABLES,	     /* one restore in one namespace, additions and changes */
	STEP_FIREWALL,	     /* one transaction in one namespace */
	STEP_PORTS,	     /* the ports of one bridge */
	STEP_ADD_HANDOFF,
	STEP_REMOVE_HANDOFF,
	STEP_ADOPT,	      /* removes unmanaged rules that duplicate ours */
	STEP_REMOVE_IPTABLES, /* removes our chains from a variant or backend that is no longer used
			       */
	STEP_REMOVE_ROUTES,
	STEP_REMOVE_NETWORK,
};

/* The bytes of a firewall step; two more transactions around it if nft_bridge_gap wants them. */
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
	bool comes_back; /* of a disconnection: a later step connects it again, if possible */
	const struct network *create; /* the declared network; NULL: create it as it was */
	const char *replaces_id;      /* of a network to create: the id of the one it replaces */
	uint32_t space;		      /* index into want->spaces; NONE: see have_space */
	uint32_t have_space;
	LIST(const struct route *) routes; /* these two belong to the compared states */
	const struct handoff *handoff;
	bool moves; /* our rule exists, but not at its place among foreign rules */
	const struct bridge_ports *ports; /* of a step at a bridge, as it was read */
	port_changes port_changes;
	struct transactions *send; /* of a firewall step, otherwise NULL */
	nft_changes changes;
	enum variant variant; /* of iptables steps … */
	uint8_t family;	      /* … which the tools of ip6tables take for 6 */
	const char *restore;  /* input for the restore tool */
	uint32_t depends_on;  /* index of a step that must succeed first, or NONE */
};

/* Whether the step writes rules of ours, with any backend. */
static inline bool step_is_rules(const struct step *step)
{
	return step->kind == STEP_FIREWALL || step->kind == STEP_IPTABLES;
}

struct plan {
	LIST(struct step) steps;
	struct findings findings;
	const char *flows;	 /* what the file opens and closes, as text; NULL: not compared */
	bridge_ports_list ports; /* of strict networks, as they are wanted */
	bool keep_networks;	 /* set by the caller: keep our networks that left the file */
	bool adopt;		 /* set by the caller: remove unmanaged rules that duplicate ours */
	const char *replace;	 /* set by the caller: re-create this network if necessary */
	const char *replace_refused; /* why it is not re-created; NULL: it is, or nobody asked */
	/* removed earlier, and no longer to be created again */
	LIST(const struct kept_endpoint *) obsolete;
};

/*
 * What other people's rules on the host do to the first packet of an admitted flow, as text with a
 * remedy; NULL: it passes. first: the packet in the forward hook, with known interfaces.
 */
const char *walls_stop(struct arena *a, const struct config *config, const struct observed *seen,
		       const struct packet *first);

/* Batches are numbered from 1; the caller renumbers them. */
void plan_diff(struct plan *plan, struct arena *a, const struct state *want,
	       const struct observed *observed, const struct config *config);

/* Frees the batches' bytes; everything else is in the arena. */
void plan_free(struct plan *plan);

/* "172.18.103.0/24 via 172.18.104.1" */
void route_print(struct buf *out, const struct route *route);

/* For people (rules: with every change of a rule, and every route), and for programs. */
void plan_print(struct buf *out, const struct plan *plan, const struct config *config, bool rules);
void plan_print_json(struct buf *out, const struct plan *plan, const struct observed *seen);
