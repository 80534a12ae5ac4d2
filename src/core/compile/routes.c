/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compile/routes.h"

#include "base/hash.h"
#include "base/order.h"

#include <stdlib.h>
#include <string.h>

/* From a declared address, the peer is to be reached through the gateway there. */
struct need {
	struct prefix peer;
	const struct endpoint *there; /* the peer's: its subnet serves all peers there; or NULL */
	const struct endpoint *here;
	enum strength strength;
	uint32_t origin;
};

/* What one node needs routes for. */
struct needs {
	LIST(struct need) list;
	bool has_ipv6;	    /* some need is of IPv6 */
	struct ip gateway;  /* of all its declared endpoints of IPv4; family 0: they differ, or have
			     * none
			     */
	uint32_t n_crossed; /* networks that it reaches through its one gateway */
};

/*
 * Docker's default route is only right where the container is on one network, and that network
 * gives a default route.
 */
static bool docker_routes_it(const struct node *node, uint8_t family)
{
	uint32_t n = 0;

	list_each (endpoint, &node->endpoints)
		n += endpoint->subnet.ip.family == family;
	return n == 1 && node_has_default_route(node, family);
}

/* It is also wrong where the container has unusual routes or rules of its own. */
static bool default_route_is_right(const struct node *node, uint8_t family)
{
	return docker_routes_it(node, family) && !node_routing(node, family);
}

static struct ip common_gateway(const struct node *node)
{
	struct ip found = {0};

	list_each (endpoint, &node->endpoints) {
		if (!endpoint->declared || endpoint->gateway.family != 4)
			continue;
		if (found.family && !ip_equal(endpoint->gateway, found))
			return (struct ip){0};
		found = endpoint->gateway;
	}
	return found;
}

struct routes routes_new(struct arena *a, const struct nodes *nodes, const struct config *config)
{
	struct routes r = {.a = a, .nodes = nodes, .config = config};

	r.no_routes_needed = arena_array(a, uint32_t, config->networks.n);
	for (uint32_t i = 0; i < config->networks.n; i++)
		r.no_routes_needed[i] = OPENS_AS_THIS;
	r.of_node = arena_array(a, struct needs, nodes->list.n);
	r.crossings = arena_array(a, uint32_t *, nodes->list.n);
	for (uint32_t i = 0; i < nodes->list.n; i++) {
		const struct node *node = &nodes->list.items[i];

		r.of_node[i].gateway = common_gateway(node);
		if (default_route_is_right(node, 4))
			r.crossings[i] = r.no_routes_needed;
		else
			r.anybody_lost = true;
		if (config->has_ipv6 && !default_route_is_right(node, 6))
			r.anybody_lost = true;
	}
	return r;
}

struct end routes_end(const struct nodes *nodes, struct prefix net)
{
	return (struct end){net, prefix_is_single(net) ? nodes_find_ip(nodes, net.ip) : NULL, NONE};
}

/*
 * The network that the flow's own address is on, and a way out of it. Where nothing was declared,
 * Docker's own route will do, unless the container has others.
 */
static const struct endpoint *endpoint_with_gateway(const struct node *node, struct ip own)
{
	list_each (endpoint, &node->endpoints)
		if ((endpoint->declared || node_routing(node, own.family)) &&
		    endpoint->gateway.family && ip_equal(endpoint->ip, own))
			return endpoint;
	return NULL;
}

static struct prefix destination(const struct need *need)
{
	return need->there ? need->there->subnet : need->peer;
}

static uint32_t index_of(const struct routes *routes, const struct node *node)
{
	return (uint32_t)(node - routes->nodes->list.items);
}

/* The declared network that this leads to, all of it; or NONE. */
static uint32_t network_of(const struct routes *routes, struct prefix dst)
{
	uint32_t i = config_network_of(routes->config, dst);

	return i != NONE && !prefix_compare(routes->config->networks.items[i].subnet, dst) ? i
											   : NONE;
}

static void cross(struct routes *routes, uint32_t node, uint32_t network, enum strength strength,
		  uint32_t origin)
{
	enum strength before = routes_strongest(routes, node, network);

	if (before >= strength)
		return; /* an earlier policy needs it as much */
	if (!routes->crossings[node])
		routes->crossings[node] =
			arena_array(routes->a, uint32_t, routes->config->networks.n);
	routes->of_node[node].n_crossed += !before;
	routes->crossings[node][network] = origin << STRENGTH_BITS | strength;
}

static void one_way(struct routes *routes, const struct node *node, struct ip own,
		    const struct end *peer, enum strength strength, uint32_t origin)
{
	uint32_t i = index_of(routes, node), network = peer->network;
	struct needs *needs = &routes->of_node[i];
	bool one_gateway = needs->gateway.family && own.family == 4;
	struct need need = {.peer = peer->net, .strength = strength, .origin = origin};

	need.here = endpoint_with_gateway(node, own);
	if (!need.here || node_endpoint_in(node, peer->net.ip))
		return;
	if (!one_gateway || network == NONE) {
		if (peer->node)
			need.there = node_endpoint_in(peer->node, peer->net.ip);
		network = network_of(routes, destination(&need));
	}
	if (one_gateway && network != NONE) {
		cross(routes, i, network, strength, origin);
		return;
	}
	*list_add(routes->a, &needs->list) = need;
	needs->has_ipv6 |= own.family == 6;
}

static bool covers_all_of(const struct node *node, struct prefix own)
{
	list_each (endpoint, &node->endpoints)
		if (endpoint->declared && endpoint->ip.family == own.ip.family &&
		    !prefix_contains(own, endpoint->ip))
			return false;
	return true;
}

/* An end given as a network, or as "any": each of its declared members needs the way. */
static void members_to(struct routes *routes, struct prefix own, const struct end *peer,
		       enum strength strength, uint32_t origin)
{
	const struct nodes *nodes = routes->nodes;

	for (uint32_t i = nodes_first_ip(nodes, prefix_first(own));
	     i < nodes->n_by_ip && prefix_contains(own, nodes->by_ip[i].ip); i++) {
		const struct node *node = &nodes->list.items[nodes->by_ip[i].node];
		enum strength weaker = strength;

		if (default_route_is_right(node, own.ip.family))
			continue;
		if (strength == OPENS_AS_THIS && covers_all_of(node, own))
			weaker = OPENS_AS_ANY;
		one_way(routes, node, nodes->by_ip[i].ip, peer, weaker, origin);
	}
}

static void ways_to(struct routes *routes, const struct end *own, const struct end *peer,
		    enum strength strength, uint32_t origin)
{
	if (!peer->net.len)
		return;
	if (!prefix_is_single(own->net))
		members_to(routes, own->net, peer, strength, origin);
	else if (own->node && !default_route_is_right(own->node, own->net.ip.family))
		one_way(routes, own->node, own->net.ip, peer, strength, origin);
}

/* This end needs no other route. */
static bool is_content(const struct routes *routes, const struct end *end)
{
	if (prefix_is_single(end->net))
		return !end->node || default_route_is_right(end->node, end->net.ip.family);
	return !routes->anybody_lost;
}

/* Compares 64-bit hashes only. A collision is less likely than a memory error. */
static bool is_known(struct routes *r, const struct end *src, const struct end *dst)
{
	if (src->network != NONE && dst->network != NONE && src->node && dst->node &&
	    src->net.ip.family == 4)
		return false; /* both networks are known: no hash is needed */
	return hash_set_has_or_add(
		&r->known, r->a,
		hash_more(hash_bytes(&src->net, sizeof(src->net)), &dst->net, sizeof(dst->net)));
}

/* An earlier policy asked for all routes from this end to that network. */
static bool was_asked(const struct routes *routes, const struct end *own, const struct end *peer,
		      enum strength strength)
{
	return own->node && own->network != NONE && peer->network != NONE &&
	       own->net.ip.family == 4 &&
	       routes_strongest(routes, index_of(routes, own->node), peer->network) >= strength;
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

void routes_need_gateway(struct routes *routes, const struct node *node, struct ip own,
			 uint32_t origin)
{
	const struct endpoint *here = endpoint_with_gateway(node, own);

	if (node_routing(node, own.family) && here)
		*list_add(routes->a, &routes->of_node[index_of(routes, node)].list) =
			(struct need){.peer = prefix_of(here->gateway),
				      .here = here,
				      .strength = REPLIES,
				      .origin = origin};
}

static int by_destination(const void *left, const void *right)
{
	return route_compare(left, right);
}

/* A sort key: the destination, then the strength. */
struct sort_key {
	struct prefix net;
	uint8_t weakness;
};

/* By peer or by destination; then the strongest need first, then the earliest policy. */
static const uint32_t *order_of(const struct need **needs, uint32_t n, struct arena *a,
				bool by_peer)
{
	struct sort_key *keys = arena_array(a, struct sort_key, n);

	for (uint32_t i = 0; i < n; i++) {
		keys[i].net = by_peer ? needs[i]->peer : destination(needs[i]);
		keys[i].weakness = (uint8_t)(OPENS_AS_THIS - needs[i]->strength);
	}
	return order_by_bytes(a, keys, n, sizeof(*keys), sizeof(*keys));
}

/* Keeps the deciding need for each peer, in order. */
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

/* The needs, sorted by destination; the one that decides comes first. */
static const struct need **sorted_needs(const struct needs *needs, struct arena *a, uint32_t *n)
{
	const struct need **all = arena_array(a, const struct need *, needs->list.n), **sorted;
	const uint32_t *order;

	*n = needs->list.n;
	for (uint32_t i = 0; i < *n; i++)
		all[i] = &needs->list.items[i];
	if (!needs->gateway.family || needs->has_ipv6)
		*n = keep_one_per_peer(all, *n, a);
	order = order_of(all, *n, a, false);
	sorted = arena_array(a, const struct need *, *n);
	for (uint32_t i = 0; i < *n; i++)
		sorted[i] = all[order[i]];
	return sorted;
}

/* --- a container that has routes and rules of its own --- */

static struct ip address_behind(const struct node *node, struct ip gateway)
{
	list_each (endpoint, &node->endpoints)
		if (endpoint->ip.family && ip_equal(endpoint->gateway, gateway))
			return endpoint->ip;
	return (struct ip){0};
}

/* The table in which this route would be found; 0: in none that we can write to. */
static uint32_t table_for(const struct routing *r, struct leaving packet, struct prefix dst,
			  uint32_t device)
{
	const struct ip_outlet now = routing_find(r, &packet, NULL, 0);
	const uint32_t tables[] = {TABLE_MAIN, now.path ? now.path->table : TABLE_MAIN};

	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		const struct ip_route ours = {.dst = dst,
					      .table = tables[i],
					      .metric = routing_usual_metric(r),
					      .device = device};

		if (routing_find(r, &packet, &ours, 1).path == &ours)
			return tables[i];
	}
	return 0;
}

static void add_route(struct arena *a, struct space *space, struct route route, uint32_t table)
{
	route.table = table;
	list_each (old, &space->routes)
		if (!route_compare(old, &route))
			return;
	*list_add(a, &space->routes) = route;
}

/*
 * A flow that the container opens is looked up without a source first and with it later, an answer
 * has its source from the beginning.
 */
static void add_where_needed(const struct node *node, struct arena *a, struct space *space,
			     struct route route, enum strength strength)
{
	const bool opens = strength >= OPENS_AS_ANY;
	const struct routing *routing = node_routing(node, route.dst.ip.family);
	const bool on_link = prefix_is_single(route.dst) && ip_equal(route.dst.ip, route.via);
	struct leaving packet = {.src = address_behind(node, route.via),
				 .dst = prefix_first(route.dst)};
	uint32_t device = routing_device_of(routing, packet.src), table;

	route.device = device;
	if (on_link)
		route.via = (struct ip){0};
	else if (!docker_routes_it(node, route.dst.ip.family) || !device)
		add_route(a, space, route, TABLE_MAIN);
	if (!prefix_is_single(route.dst))
		packet.dst = ip_plus(packet.dst, 1);
	for (int i = 0; device && i < 1 + opens; i++) {
		const struct ip_route *path = routing_find(routing, &packet, NULL, 0).path;

		table = path && path->type == PATH_LEAVES && path->device == device
				? 0
				: table_for(routing, packet, route.dst, device);
		if (table)
			add_route(a, space, route, table);
		packet.src = (struct ip){0};
	}
}

static void add(const struct node *node, struct arena *a, struct space *space, struct route route,
		enum strength strength)
{
	if (node_routing(node, route.dst.ip.family))
		add_where_needed(node, a, space, route, strength);
	else
		*list_add(a, &space->routes) = route;
}

/* Adds the listed needs' routes. False: these are not sorted. */
static bool add_listed(const struct needs *of_node, const struct node *node, struct arena *a,
		       struct arena *scratch, struct space *space)
{
	const struct need **needs, *first = NULL;
	bool in_order = true;
	uint32_t n;

	needs = sorted_needs(of_node, scratch, &n);
	for (uint32_t k = 0; k < n; k++) {
		struct prefix dst = destination(needs[k]), peer = needs[k]->peer;
		bool opens = !first || prefix_compare(dst, destination(first)) != 0;
		struct ip via = needs[k]->here->gateway;

		/*
		 * the first need of a subnet gets a route to all of it; needs for another gateway
		 * get a route to their peer alone
		 */
		if (opens ||
		    (prefix_compare(peer, dst) != 0 && !ip_equal(via, first->here->gateway))) {
			add(node, a, space,
			    (struct route){.dst = opens ? dst : peer,
					   .via = via,
					   .origin = needs[k]->origin,
					   .table = TABLE_MAIN},
			    needs[k]->strength);
			in_order &= opens;
		}
		if (opens)
			first = needs[k];
	}
	return in_order;
}

static void add_crossings(const struct routes *routes, uint32_t node, struct arena *a,
			  struct space *space)
{
	const struct config *config = routes->config;
	const struct needs *needs = &routes->of_node[node];

	if (!space->routes.n)
		list_reserve(a, &space->routes, needs->n_crossed);
	for (uint32_t i = 0; i < config->n_by_subnet; i++) {
		uint32_t network = config->by_subnet[i].network;
		enum strength strength = routes_strongest(routes, node, network);

		if (config->by_subnet[i].subnet.ip.family != 4 || !strength)
			continue;
		add(&routes->nodes->list.items[node], a, space,
		    (struct route){.dst = config->by_subnet[i].subnet,
				   .via = needs->gateway,
				   .origin = routes->crossings[node][network] >> STRENGTH_BITS,
				   .table = TABLE_MAIN},
		    strength);
	}
}

void routes_of(const struct routes *routes, uint32_t i, struct arena *a, struct arena *scratch,
	       struct space *space)
{
	const struct needs *needs = &routes->of_node[i];
	const struct node *node = &routes->nodes->list.items[i];
	bool in_order = !node->routing[FAMILY_4] && !needs->has_ipv6;

	if (needs->list.n)
		in_order &= add_listed(needs, node, a, scratch, space);
	if (routes->crossings[i] && routes->crossings[i] != routes->no_routes_needed) {
		in_order &= !space->routes.n;
		add_crossings(routes, i, a, space);
	}
	if (!in_order && space->routes.n)
		qsort(space->routes.items, space->routes.n, sizeof(struct route), by_destination);
	arena_reset(scratch);
}
