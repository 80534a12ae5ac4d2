/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/routes.h"

#include "base/hash.h"
#include "base/order.h"

#include <stdlib.h>
#include <string.h>

/*
 * One flow's need: from a declared address, the peer is to be reached through the gateway there. A
 * flow that the container opens wants its source address to be that one, unless every address of
 * the container would do; a reply has its address already and only wants a way. Where they differ,
 * the stronger wins.
 */
enum rank { OPENS_AS_THIS, OPENS_AS_ANY, REPLIES };

struct need {
	struct prefix peer;
	const struct seat *there; /* the peer's: its subnet serves all peers there; or NULL */
	const struct seat *here;
	enum rank rank;
	uint32_t origin;
};

/* Of one node. */
struct needs {
	LIST(struct need) list;
	bool one_gateway; /* needs for one subnet can't disagree */
	/* By declared network, in two bits: the strongest need so far for what is there (0: none);
	 * NULL before the first. */
	uint8_t *asked;
};

enum { ASKED_BITS = 2, ASKED_PER_BYTE = 8 / ASKED_BITS };

static const uint32_t asked_mask = (1 << ASKED_BITS) - 1;

static uint32_t strength(enum rank rank)
{
	return REPLIES + 1 - (uint32_t)rank;
}

/* Docker's default route is not to be trusted where there are several networks, or none that gives
 * one. */
static bool default_route_is_right(const struct node *node)
{
	return node->seats.n == 1 && node_has_default_route(node);
}

static bool one_gateway(const struct node *node)
{
	const struct seat *first = NULL;

	list_each (seat, &node->seats) {
		if (!seat->declared || !seat->gateway.family)
			continue;
		first = first ? first : seat;
		if (!ip_equal(seat->gateway, first->gateway))
			return false;
	}
	return true;
}

struct routes routes_new(struct arena *a, const struct nodes *nodes, uint32_t n_networks)
{
	struct routes r = {.a = a, .nodes = nodes, .n_networks = n_networks};
	size_t n_asked = n_networks / ASKED_PER_BYTE + 1;

	r.of_node = arena_array(a, struct needs, nodes->list.n);
	r.everything = memset(arena_alloc(a, n_asked), UINT8_MAX, n_asked);
	for (uint32_t i = 0; i < nodes->list.n; i++) {
		r.of_node[i].one_gateway = one_gateway(&nodes->list.items[i]);
		if (default_route_is_right(&nodes->list.items[i]))
			r.of_node[i].asked = r.everything;
		else
			r.anybody_lost = true;
	}
	return r;
}

struct end routes_end(const struct nodes *nodes, struct prefix net)
{
	return (struct end){net, prefix_is_single(net) ? nodes_find_ip(nodes, net.ip) : NULL, NONE};
}

/* The network that the flow's own address is on, and a way out of it. */
static const struct seat *seat_with_gateway(const struct node *node, struct ip own)
{
	list_each (seat, &node->seats)
		if (seat->declared && seat->gateway.family && ip_equal(seat->ip, own))
			return seat;
	return NULL;
}

static struct prefix destination(const struct need *need)
{
	return need->there ? need->there->subnet : need->peer;
}

static uint32_t strongest(const struct needs *needs, uint32_t network)
{
	uint32_t shift = network % ASKED_PER_BYTE * ASKED_BITS;

	return needs->asked ? (uint32_t)needs->asked[network / ASKED_PER_BYTE] >> shift & asked_mask
			    : 0;
}

static void note_strongest(struct routes *routes, struct needs *needs, uint32_t network,
			   enum rank rank)
{
	uint32_t shift = network % ASKED_PER_BYTE * ASKED_BITS;
	uint8_t *byte;

	if (!needs->asked)
		needs->asked = arena_alloc(routes->a, routes->n_networks / ASKED_PER_BYTE + 1);
	byte = &needs->asked[network / ASKED_PER_BYTE];
	*byte = (uint8_t)((*byte & ~(asked_mask << shift)) | strength(rank) << shift);
}

static void one_way(struct routes *routes, const struct node *node, struct ip own,
		    const struct end *peer, enum rank rank, uint32_t origin)
{
	struct needs *needs = &routes->of_node[node - routes->nodes->list.items];
	struct need need = {.peer = peer->net, .rank = rank, .origin = origin};

	need.here = seat_with_gateway(node, own);
	if (!need.here || node_seat_in(node, peer->net.ip))
		return;
	if (peer->node)
		need.there = node_seat_in(peer->node, peer->net.ip);
	if (needs->one_gateway && peer->network != NONE && need.there && need.there->declared) {
		/* one as strong was asked before, for the same destination: this changes nothing */
		if (strongest(needs, peer->network) >= strength(rank))
			return;
		note_strongest(routes, needs, peer->network, rank);
	}
	*list_add(routes->a, &needs->list) = need;
}

static bool covers_all_of(const struct node *node, struct prefix own)
{
	list_each (seat, &node->seats)
		if (seat->declared && !prefix_contains(own, seat->ip))
			return false;
	return true;
}

/* An end given as a network, or as "any": each of its declared members needs the way. */
static void members_to(struct routes *routes, struct prefix own, const struct end *peer,
		       enum rank rank, uint32_t origin)
{
	const struct nodes *nodes = routes->nodes;

	for (uint32_t i = nodes_first_ip(nodes, prefix_first(own));
	     i < nodes->n_by_ip && prefix_contains(own, nodes->by_ip[i].ip); i++) {
		const struct node *node = &nodes->list.items[nodes->by_ip[i].node];
		enum rank weaker = rank;

		if (default_route_is_right(node))
			continue;
		if (rank == OPENS_AS_THIS && covers_all_of(node, own))
			weaker = OPENS_AS_ANY;
		one_way(routes, node, nodes->by_ip[i].ip, peer, weaker, origin);
	}
}

static void ways_to(struct routes *routes, const struct end *own, const struct end *peer,
		    enum rank rank, uint32_t origin)
{
	if (!peer->net.len)
		return;
	if (!prefix_is_single(own->net))
		members_to(routes, own->net, peer, rank, origin);
	else if (own->node && !default_route_is_right(own->node))
		one_way(routes, own->node, own->net.ip, peer, rank, origin);
}

/* Nobody at this end asks for a way. */
static bool is_content(const struct routes *routes, const struct end *end)
{
	if (prefix_is_single(end->net))
		return !end->node || default_route_is_right(end->node);
	return !routes->anybody_lost;
}

/* By 64 bits of hash: that two flows share them is less likely than that the memory forgets. */
static bool is_known(struct routes *r, const struct end *src, const struct end *dst)
{
	if (src->network != NONE && dst->network != NONE && src->node && dst->node)
		return false; /* needs of these are told apart quicker */
	return seen_before(
		&r->known, r->a,
		hash_more(hash_bytes(&src->net, sizeof(src->net)), &dst->net, sizeof(dst->net)));
}

/* Most flows stand between networks that others stand between, too: what this end needs for
 * whatever is over there was asked before. */
static bool was_asked(const struct routes *routes, const struct end *own, const struct end *peer,
		      enum rank rank)
{
	return own->node && own->network != NONE && peer->network != NONE &&
	       strongest(&routes->of_node[own->node - routes->nodes->list.items], peer->network) >=
		       strength(rank);
}

void routes_need(struct routes *routes, struct end src, struct end dst, uint32_t origin)
{
	bool there = was_asked(routes, &src, &dst, OPENS_AS_THIS);
	bool back = was_asked(routes, &dst, &src, REPLIES);

	if ((there && back) || (is_content(routes, &src) && is_content(routes, &dst)) ||
	    is_known(routes, &src, &dst))
		return;
	if (!there)
		ways_to(routes, &src, &dst, OPENS_AS_THIS, origin);
	if (!back)
		ways_to(routes, &dst, &src, REPLIES, origin);
}

static int by_destination(const void *left, const void *right)
{
	const struct route *a = left, *b = right;

	return prefix_compare(a->dst, b->dst);
}

/* Where a need leads and how much it counts, in bytes that sort so. */
struct sort_key {
	struct prefix net;
	uint8_t rank;
};

/* By peer, or by what serves it; of those for one the strongest first, then what came first. */
static const uint32_t *order_of(const struct need **needs, uint32_t n, struct arena *a,
				bool by_peer)
{
	struct sort_key *keys = arena_array(a, struct sort_key, n);

	for (uint32_t i = 0; i < n; i++) {
		keys[i].net = by_peer ? needs[i]->peer : destination(needs[i]);
		keys[i].rank = (uint8_t)needs[i]->rank;
	}
	return order_by_bytes(a, keys, n, sizeof(*keys), sizeof(*keys));
}

/* Of the needs for one peer the first decides. What stays, stays in its order. */
static uint32_t keep_one_per_peer(const struct need **needs, uint32_t n, struct arena *a)
{
	const uint32_t *order = order_of(needs, n, a, true);
	bool *decides = arena_array(a, bool, n);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		decides[order[i]] =
			!i || prefix_compare(needs[order[i]]->peer, needs[order[i - 1]]->peer) != 0;
	for (uint32_t i = 0; i < n; i++)
		if (decides[i])
			needs[kept++] = needs[i];
	return kept;
}

/* What decides first, sorted by where it leads. */
static const struct need **sorted_needs(const struct needs *needs, struct arena *a, uint32_t *n)
{
	const struct need **all = arena_array(a, const struct need *, needs->list.n), **sorted;
	const uint32_t *order;

	*n = needs->list.n;
	for (uint32_t i = 0; i < *n; i++)
		all[i] = &needs->list.items[i];
	if (!needs->one_gateway)
		*n = keep_one_per_peer(all, *n, a);
	order = order_of(all, *n, a, false);
	sorted = arena_array(a, const struct need *, *n);
	for (uint32_t i = 0; i < *n; i++)
		sorted[i] = all[order[i]];
	return sorted;
}

void routes_of(const struct routes *routes, uint32_t i, struct arena *a, struct arena *scratch,
	       struct space *space)
{
	const struct need **needs, *first = NULL;
	bool in_order = true;
	uint32_t n;

	if (!routes->of_node[i].list.n)
		return;
	needs = sorted_needs(&routes->of_node[i], scratch, &n);
	for (uint32_t k = 0; k < n; k++) {
		struct prefix dst = destination(needs[k]), peer = needs[k]->peer;
		bool opens = !first || prefix_compare(dst, destination(first)) != 0;
		struct ip via = needs[k]->here->gateway;

		/* the first of a subnet gets it; those that want another gateway, their peer */
		if (opens ||
		    (prefix_compare(peer, dst) != 0 && !ip_equal(via, first->here->gateway))) {
			*list_add(a, &space->routes) =
				(struct route){opens ? dst : peer, via, needs[k]->origin};
			in_order &= opens;
		}
		if (opens)
			first = needs[k];
	}
	if (!in_order)
		qsort(space->routes.items, space->routes.n, sizeof(struct route), by_destination);
	arena_reset(scratch);
}
