/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/routes.h"

#include <stdlib.h>

struct node_routes {
	LIST(struct route) list;
};

struct routes routes_new(struct arena *a, uint32_t n_nodes)
{
	return (struct routes){.a = a, .of_node = arena_array(a, struct node_routes, n_nodes)};
}

/* Docker's default route is not to be trusted where there are several networks, or none that gives
 * one. */
static bool default_route_is_right(const struct node *node)
{
	return node->seats.n == 1 && node_has_default_route(node);
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
static struct prefix peer_subnet(const struct nodes *nodes, struct prefix peer)
{
	const struct node *node = prefix_is_single(peer) ? nodes_find_ip(nodes, peer.ip) : NULL;
	const struct seat *seat = node ? node_seat_in(node, peer.ip) : NULL;

	return seat ? prefix_canonical(seat->subnet) : peer;
}

static void one_way(struct routes *routes, const struct nodes *nodes, struct prefix own,
		    struct prefix peer, uint32_t origin)
{
	const struct node *node = prefix_is_single(own) ? nodes_find_ip(nodes, own.ip) : NULL;
	const struct seat *seat;
	struct node_routes *of_node;
	struct prefix dst;

	if (!node || default_route_is_right(node) || !peer.len)
		return;
	seat = seat_with_gateway(node, own.ip);
	if (!seat || node_seat_in(node, peer.ip))
		return;
	dst = peer_subnet(nodes, peer);
	of_node = &routes->of_node[node - nodes->list.items];
	list_each (old, &of_node->list)
		if (prefix_compare(old->dst, dst) == 0)
			return; /* the first policy that needs it decides */
	*list_add(routes->a, &of_node->list) = (struct route){dst, seat->gateway, origin};
}

/* An end given as a network, or as "any": each of its declared members needs the way. */
static void members_to(struct routes *routes, const struct nodes *nodes, struct prefix own,
		       struct prefix peer, uint32_t origin)
{
	if (prefix_is_single(own)) {
		one_way(routes, nodes, own, peer, origin);
		return;
	}
	list_each (node, &nodes->list)
		list_each (seat, &node->seats)
			if (seat->declared && prefix_contains(own, seat->ip))
				one_way(routes, nodes, prefix_of(seat->ip), peer, origin);
}

void routes_need(struct routes *routes, const struct nodes *nodes, struct prefix src,
		 struct prefix dst, uint32_t origin)
{
	members_to(routes, nodes, src, dst, origin);
	members_to(routes, nodes, dst, src, origin);
}

static int by_destination(const void *left, const void *right)
{
	const struct route *a = left, *b = right;

	return prefix_compare(a->dst, b->dst);
}

void routes_of(const struct routes *routes, uint32_t i, struct arena *a, struct space *space)
{
	list_each (route, &routes->of_node[i].list)
		*list_add(a, &space->routes) = *route;
	if (space->routes.n)
		qsort(space->routes.items, space->routes.n, sizeof(struct route), by_destination);
}
