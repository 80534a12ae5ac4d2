/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which routes containers need so that allowed flows and their replies take the way through the
 * networks that the file declares, not through whatever default route Docker gave. Pure.
 */
#pragma once

#include "base/hash_set.h"
#include "core/compile/nodes.h"
#include "core/state/state.h"

/*
 * How much a need counts. A flow that the container opens wants its source address to be the
 * declared one, unless every address of the container would do; a reply has its address already and
 * only wants a way. Where they differ, the stronger wins.
 */
enum strength { NO_NEED, REPLIES, OPENS_AS_ANY, OPENS_AS_THIS };

enum { STRENGTH_BITS = 2 };

struct routes {
	struct arena *a;
	const struct nodes *nodes;
	const struct config *config;
	struct needs *of_node; /* one per node */
	/*
	 * Of IPv4, by node, of those whose needs one gateway serves, and by declared network: the
	 * strongest need so far for what is there, its origin above its strength. NULL: none yet.
	 */
	uint32_t **crossings;
	uint32_t *no_routes_needed; /* who is content with what he has */
	bool anybody_lost;	    /* there is a node whose default route is not the right way */
	struct hash_set known;	    /* flows from or to a whole network */
};

/* One end of a flow. */
struct end {
	struct prefix net;
	const struct node *node; /* that holds it, where it is one address; or NULL */
	uint32_t network; /* the declared one where it has its endpoint; NONE: none, or not asked */
};

struct routes routes_new(struct arena *a, const struct nodes *nodes, const struct config *config);
struct end routes_end(const struct nodes *nodes, struct prefix net);

static inline unsigned routes_strongest(const struct routes *r, uint32_t node, uint32_t network)
{
	return r->crossings[node] ? r->crossings[node][network] & ((1U << STRENGTH_BITS) - 1)
				  : NO_NEED;
}

/*
 * Of IPv4. Most flows stand between networks that others stand between, too: what both ends need
 * was asked before, and there is no need to say it again.
 */
static inline bool routes_know(const struct routes *r, struct home src, struct home dst)
{
	return src.has_endpoint && dst.has_endpoint &&
	       routes_strongest(r, src.node, dst.network) == OPENS_AS_THIS &&
	       routes_strongest(r, dst.node, src.network) != NO_NEED;
}

/* A flow from src to dst must find its way there and back, and leave as src. */
void routes_need(struct routes *routes, struct end src, struct end dst, uint32_t origin);
/* What is masqueraded comes from the gateway itself, and is answered to it. */
void routes_need_gateway(struct routes *routes, const struct node *node, struct ip own,
			 uint32_t origin);
/* The routes of node i, sorted, into its space. The scratch memory is empty before and after. */
void routes_of(const struct routes *routes, uint32_t i, struct arena *a, struct arena *scratch,
	       struct space *space);
