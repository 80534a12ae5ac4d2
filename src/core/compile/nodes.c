/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Merges the engine's containers with the file's addresses. */
#include "core/compile/nodes.h"

#include "base/order.h"
#include "core/config/drivers.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *left, const void *right)
{
	const struct node *a = left, *b = right;

	return strcmp(a->name, b->name);
}

struct node *nodes_find(const struct nodes *nodes, const char *name)
{
	uint32_t at = hash_index_find(&nodes->by_name, hash_text(name), i,
				      !strcmp(nodes->list.items[i].name, name));

	return at == NONE ? NULL : &nodes->list.items[at];
}

uint32_t nodes_first_ip(const struct nodes *nodes, struct ip ip)
{
	return first_not_before(nodes->n_by_ip, i, ip_compare(nodes->by_ip[i].ip, ip) < 0);
}

struct node *nodes_find_ip(const struct nodes *nodes, struct ip ip)
{
	uint32_t at = nodes_first_ip(nodes, ip);

	return at < nodes->n_by_ip && ip_equal(nodes->by_ip[at].ip, ip)
		       ? &nodes->list.items[nodes->by_ip[at].node]
		       : NULL;
}

bool node_is_running(const struct node *node)
{
	return node->container && node->container->running;
}

bool node_has_default_route(const struct node *node, uint8_t family)
{
	list_each (endpoint, &node->endpoints)
		if (!endpoint->internal && endpoint->gateway.family == family)
			return true;
	return false;
}

const struct endpoint *node_endpoint_in(const struct node *node, struct ip ip)
{
	list_each (endpoint, &node->endpoints)
		if (prefix_contains(endpoint->subnet, ip))
			return endpoint;
	return NULL;
}

static struct node *find_or_note(const struct nodes *nodes, struct arena *a, name_list *names,
				 const char *name)
{
	struct node *node = name ? nodes_find(nodes, name) : NULL;

	if (name && !node)
		*list_add(a, names) = name;
	return node;
}

static void find_homes(struct nodes *nodes, struct arena *a, const struct config *config,
		       name_list *unknown)
{
	for (uint32_t i = 0; i < config->addresses.n; i++) {
		const char *name =
			config_name(config, address_container(&config->addresses.items[i]));
		const struct node *node = find_or_note(nodes, a, unknown, name);

		nodes->of_address[i].node = node ? (uint32_t)(node - nodes->list.items) : NONE;
	}
}

/*
 * Adds every container of the engine, in the order of its list, and every name of the file that the
 * engine does not know. Call it when the addresses' owners are known.
 */
static void add_nodes(struct nodes *nodes, struct arena *a, const struct config *config,
		      const struct resolution *resolution, const struct engine *engine,
		      const struct routing *const (*routings)[N_FAMILIES])
{
	name_list names = {0}, none = {0};

	list_each (c, &engine->containers) {
		struct node *node = list_add(a, &nodes->list);

		node->name = c->name;
		node->container = c;
		node->shares_namespace = engine_shares_namespace(c);
		for (enum family f = 0; routings && f < N_FAMILIES; f++)
			node->routing[f] = routings[c - engine->containers.items][f];
	}
	nodes->by_name = engine->containers_by_name;
	nodes->of_address = arena_array(a, struct home, config->addresses.n);
	find_homes(nodes, a, config, &names);
	for (uint32_t i = 0; i < config->names.n && !engine->up; i++)
		find_or_note(nodes, a, &names, resolution->containers[i]);
	if (!names.n)
		return;
	qsort(names.items, names.n, sizeof(*names.items), text_order);
	for (uint32_t i = 0; i < names.n; i++)
		if (!i || strcmp(names.items[i], names.items[i - 1]) != 0)
			list_add(a, &nodes->list)->name = names.items[i];
	qsort(nodes->list.items, nodes->list.n, sizeof(struct node), by_name);
	hash_index_names(&nodes->by_name, a, &nodes->list);
	find_homes(nodes, a, config, &none);
}

static void add_engine_endpoints(struct node *node, struct arena *a, const struct engine *engine)
{
	list_each (known, &node->container->endpoints) {
		const struct engine_network *n = engine_find_network(engine, known->network);
		const struct ip gateways[] = {known->gateway, known->gateway6};
		const struct ip ips[] = {known->ip, known->ip6};
		const struct ip configured[] = {known->configured, known->configured6};

		for (enum family f = 0; n && f < N_FAMILIES; f++) {
			struct endpoint *endpoint;

			if (!n->ipam[f].subnet.ip.family || (f == FAMILY_6 && !n->ipv6))
				continue; /* none, host, and networks without this family */
			endpoint = list_add(a, &node->endpoints);
			endpoint->network = n->name;
			endpoint->subnet = prefix_canonical(n->ipam[f].subnet);
			endpoint->gateway = gateways[f].family ? gateways[f] : n->ipam[f].gateway;
			endpoint->internal = n->internal || !n->bridge;
			endpoint->ip = ips[f].family ? ips[f] : configured[f];
		}
	}
}

static struct endpoint *endpoint_on(struct node *node, struct arena *a, const char *network,
				    uint8_t family)
{
	struct endpoint *endpoint;

	list_each (old, &node->endpoints)
		if (old->subnet.ip.family == family && !strcmp(old->network, network))
			return old;
	endpoint = list_add(a, &node->endpoints);
	endpoint->network = network;
	return endpoint;
}

const char *network_bridge(const struct network *network, const struct engine *engine)
{
	const struct engine_network *e = engine_find_network(engine, network->name);

	if (e)
		return e->bridge;
	return driver_is_bridge(network->driver) ? network->bridge_name : NULL;
}

static void add_declared_endpoints(struct nodes *nodes, struct arena *a,
				   const struct config *config, const struct engine *engine)
{
	for (uint32_t i = 0; i < config->addresses.n; i++) {
		const struct address *address = &config->addresses.items[i];
		struct home *home = &nodes->of_address[i];
		struct node *node = home->node == NONE ? NULL : &nodes->list.items[home->node];
		const struct network *network;
		const struct ipam *ipam;
		struct endpoint *endpoint;
		bool bridged;

		home->network = address->network;
		home->has_endpoint = node && address->network != NONE && !node->shares_namespace;
		if (!home->has_endpoint)
			continue;
		network = &config->networks.items[address->network];
		ipam = &network->ipam[ip_family(address->ip)];
		endpoint = endpoint_on(node, a, network->name, address->ip.family);
		bridged = network_bridge(network, engine);
		*endpoint = (struct endpoint){.network = network->name,
					      .subnet = ipam->subnet,
					      .gateway = bridged ? ipam->gateway : (struct ip){0},
					      .internal = network->internal || !bridged,
					      .ip = address->ip,
					      .declared = true};
	}
}

static void index_addresses(struct nodes *nodes, struct arena *a)
{
	LIST(struct node_ip) ips = {0};
	const uint32_t *order;

	list_each (node, &nodes->list)
		list_each (endpoint, &node->endpoints)
			if (endpoint->ip.family)
				*list_add(a, &ips) = (struct node_ip){
					endpoint->ip, (uint32_t)(node - nodes->list.items)};
	order = order_by_bytes(a, ips.items, ips.n, sizeof(*ips.items), sizeof(struct ip));
	nodes->by_ip = arena_take(a, ips.n * sizeof(*ips.items));
	nodes->n_by_ip = ips.n;
	for (uint32_t i = 0; i < ips.n; i++)
		nodes->by_ip[i] = ips.items[order[i]];
}

void nodes_build(struct nodes *nodes, struct arena *a, const struct config *config,
		 const struct resolution *resolution, const struct engine *engine,
		 const struct routing *const (*routings)[N_FAMILIES])
{
	*nodes = (struct nodes){0};
	add_nodes(nodes, a, config, resolution, engine, routings);
	list_each (node, &nodes->list)
		if (node->container && !node->shares_namespace)
			add_engine_endpoints(node, a, engine);
	add_declared_endpoints(nodes, a, config, engine);
	index_addresses(nodes, a);
}

const struct routing *node_routing(const struct node *node, uint8_t family)
{
	return node->routing[family == 6 ? FAMILY_6 : FAMILY_4];
}
