/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/routes.h"

#include "base/hash.h"

#include <stdlib.h>

/*
 * One flow's need: from a declared address, the peer is to be reached through the gateway there. A
 * flow that the container opens wants its source address to be that one, unless every address of
 * the container would do; a reply has its address already and only wants a way. Where they differ,
 * the stronger wins.
 */
enum rank { OPENS_AS_THIS, OPENS_AS_ANY, REPLIES };

struct need {
	struct prefix peer, dst; /* dst: the peer's subnet, which serves all peers there */
	struct ip via;
	enum rank rank;
	uint32_t origin, index;
};

struct node_needs {
	LIST(struct need) list;
};

/* Docker's default route is not to be trusted where there are several networks, or none that gives
 * one. */
static bool default_route_is_right(const struct node *node)
{
	return node->seats.n == 1 && node_has_default_route(node);
}

struct routes routes_new(struct arena *a, const struct nodes *nodes)
{
	struct routes r = {.a = a, .nodes = nodes};

	r.of_node = arena_array(a, struct node_needs, nodes->list.n);
	list_each (node, &nodes->list)
		r.anybody_lost |= !default_route_is_right(node);
	return r;
}

struct end routes_end(const struct nodes *nodes, struct prefix net)
{
	return (struct end){net, prefix_is_single(net) ? nodes_find_ip(nodes, net.ip) : NULL};
}

/* By 64 bits of hash: that two flows share them is less likely than that the memory forgets. */
static bool is_known(struct routes *r, const struct end *src, const struct end *dst)
{
	uint64_t flow =
		hash_more(hash_bytes(&src->net, sizeof(src->net)), &dst->net, sizeof(dst->net));

	return seen_before(&r->known, r->a, flow);
}

/* The network that the flow's own address is on, and a way out of it. */
static const struct seat *seat_with_gateway(const struct node *node, struct ip own)
{
	list_each (seat, &node->seats)
		if (seat->declared && seat->gateway.family && ip_equal(seat->ip, own))
			return seat;
	return NULL;
}

/* The subnet of the peer's network: one route serves all peers there. */
static struct prefix peer_subnet(const struct end *peer)
{
	const struct seat *seat = peer->node ? node_seat_in(peer->node, peer->net.ip) : NULL;

	return seat ? prefix_canonical(seat->subnet) : peer->net;
}

static void one_way(struct routes *routes, const struct node *node, struct ip own,
		    const struct end *peer, enum rank rank, uint32_t origin)
{
	const struct seat *seat = seat_with_gateway(node, own);
	struct node_needs *needs;

	if (!seat || node_seat_in(node, peer->net.ip))
		return;
	needs = &routes->of_node[node - routes->nodes->list.items];
	*list_add(routes->a, &needs->list) = (struct need){.peer = peer->net,
							   .dst = peer_subnet(peer),
							   .via = seat->gateway,
							   .rank = rank,
							   .origin = origin,
							   .index = needs->list.n};
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

void routes_need(struct routes *routes, struct end src, struct end dst, uint32_t origin)
{
	if ((is_content(routes, &src) && is_content(routes, &dst)) || is_known(routes, &src, &dst))
		return;
	ways_to(routes, &src, &dst, OPENS_AS_THIS, origin);
	ways_to(routes, &dst, &src, REPLIES, origin);
}

static int by_rank(const struct need *a, const struct need *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

static int by_peer(const void *left, const void *right)
{
	const struct need *a = left, *b = right;
	int order = prefix_compare(a->peer, b->peer);

	return order ? order : by_rank(a, b);
}

static int by_subnet(const void *left, const void *right)
{
	const struct need *a = left, *b = right;
	int order = prefix_compare(a->dst, b->dst);

	return order ? order : by_rank(a, b);
}

static int by_destination(const void *left, const void *right)
{
	const struct route *a = left, *b = right;

	return prefix_compare(a->dst, b->dst);
}

/* Of the needs for one peer the first decides. */
static uint32_t keep_one_per_peer(struct need *needs, uint32_t n)
{
	uint32_t kept = 0;

	qsort(needs, n, sizeof(*needs), by_peer);
	for (uint32_t i = 0; i < n; i++)
		if (!kept || prefix_compare(needs[i].peer, needs[kept - 1].peer) != 0)
			needs[kept++] = needs[i];
	return kept;
}

static bool one_gateway(const struct need *needs, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (!ip_equal(needs[i].via, needs[0].via))
			return false;
	return true;
}

void routes_of(const struct routes *routes, uint32_t i, struct arena *a, struct space *space)
{
	struct need *needs = routes->of_node[i].list.items;
	const struct need *first = NULL;
	uint32_t n = routes->of_node[i].list.n;

	if (!n)
		return;
	if (!one_gateway(needs, n)) /* else peers of one subnet can't disagree */
		n = keep_one_per_peer(needs, n);
	qsort(needs, n, sizeof(*needs), by_subnet);
	for (const struct need *need = needs; need < needs + n; need++) {
		bool opens = !first || prefix_compare(need->dst, first->dst) != 0;
		bool narrower = prefix_compare(need->peer, need->dst) != 0;

		/* the first of a subnet gets it; those that want another gateway, their peer */
		if (opens || (narrower && !ip_equal(need->via, first->via)))
			*list_add(a, &space->routes) = (struct route){
				opens ? need->dst : need->peer, need->via, need->origin};
		if (opens)
			first = need;
	}
	qsort(space->routes.items, space->routes.n, sizeof(struct route), by_destination);
}
