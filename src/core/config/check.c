/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What takes more than one field to see: addresses against subnets and against each other. Networks
 * are looked at before (check_networks.c). Sorts and looks at neighbours, so that it stays linear
 * (but for the sorting) at every size the bounds allow. Fills the network of every address.
 */
#include "base/order.h"
#include "core/config/impl.h"

#include <stdlib.h>
#include <string.h>

struct checker {
	struct config *config;
	struct config_text *text;
	struct diags *diags;
	struct arena *a;
	bool networks_broken; /* unknown which addresses lie in them: say nothing of that */
};

static uint32_t address_node(const struct checker *c, const struct address *at)
{
	return c->text->declared[SECTION_IPS].items[at - c->config->addresses.items];
}

/* The address of an entry's field "ip6", not the one of its key or field "ip". */
static bool is_second(const struct checker *c, const struct address *at)
{
	return at->ip.family == 6 && json_member(&c->text->json, address_node(c, at), "ip6");
}

static uint32_t ip_node(const struct checker *c, const struct address *at)
{
	uint32_t node = address_node(c, at);
	struct ip key;

	return ip_parse(&key, at->key) && ip_equal(key, at->ip)
		       ? node_of_key(node)
		       : node_of_field(c->text, node, is_second(c, at) ? "ip6" : "ip");
}

static const char *network_path(const struct checker *c, const struct network *n)
{
	return path_of_declared(c->a, "networks", n->key);
}

static const char *address_path(const struct checker *c, const struct address *at)
{
	return path_of_declared(c->a, "ips", at->key);
}

#define error_at(c, node, ...) diag_at((c)->diags, SEVERITY_ERROR, (c)->text, node, __VA_ARGS__)

/* --- addresses --- */

uint32_t config_network_of(const struct config *config, struct prefix prefix)
{
	const struct declared_subnet *sorted = config->by_subnet;
	uint32_t behind = first_not_before(config->n_by_subnet, i,
					   ip_compare(sorted[i].subnet.ip, prefix.ip) <= 0);

	if (!behind || !prefix_covers(sorted[behind - 1].subnet, prefix))
		return NONE;
	return sorted[behind - 1].network;
}

/* Perhaps the entry was copied, and only its key or only its "ip" was changed. */
static void warn_of_other_key(struct checker *c, const struct address *at)
{
	struct ip key;
	uint32_t i = ip_parse(&key, at->key) ? config_address_of(c->config, key) : NONE;
	bool is_own = i != NONE && c->config->addresses.items[i].key == at->key;

	if (key.family && !ip_equal(key, at->ip) && !is_own && !is_second(c, at))
		diag_at(c->diags, SEVERITY_WARNING, c->text, ip_node(c, at),
			"the address is %s, not that of the key; write the same, or a name as the "
			"key",
			ip_format(at->ip).s);
}

static void check_address(struct checker *c, struct address *at)
{
	const struct network *n;
	const struct ipam *own;
	const char *what;

	warn_of_other_key(c, at);
	at->network = config_network_of(c->config, prefix_of(at->ip));
	if (at->network == NONE) {
		if (!c->networks_broken)
			error_at(c, ip_node(c, at),
				 "%s lies in no network of this file; choose another, or declare "
				 "its network",
				 ip_format(at->ip).s);
		return;
	}
	n = &c->config->networks.items[at->network];
	own = &n->ipam[ip_family(at->ip)];
	what = ip_equal(at->ip, own->gateway) ? "gateway" : config_reserved(own->subnet, at->ip);
	if (what)
		error_at(c, ip_node(c, at), "%s is the %s address of %s; choose another",
			 ip_format(at->ip).s, what, network_path(c, n));
}

/* Entries without a valid address have bytes of zero, and so come first. */
static void sort_addresses(struct checker *c)
{
	struct config *config = c->config;
	uint32_t n = config->addresses.n, without = 0;
	const struct address *addresses = config->addresses.items;

	if (!n)
		return;
	config->by_ip =
		order_by_bytes(c->a, &addresses->ip, n, sizeof(*addresses), sizeof(struct ip));
	while (without < n && !addresses[config->by_ip[without]].ip.family)
		without++;
	config->by_ip += without;
	config->n_by_ip = n - without;
}

uint32_t config_first_ip(const struct config *config, struct ip ip)
{
	return first_not_before(config->n_by_ip, i,
				ip_compare(config->addresses.items[config->by_ip[i]].ip, ip) < 0);
}

uint32_t config_address_of(const struct config *config, struct ip ip)
{
	uint32_t at = config_first_ip(config, ip);
	uint32_t i = at < config->n_by_ip ? config->by_ip[at] : NONE;

	return i != NONE && ip_equal(config->addresses.items[i].ip, ip) ? i : NONE;
}

const char *config_container_at(const struct config *config, struct ip ip)
{
	uint32_t i = config_address_of(config, ip);

	return i == NONE ? NULL
			 : config_name(config, address_container(&config->addresses.items[i]));
}

static void check_equal_addresses(struct checker *c)
{
	for (uint32_t i = 1; i < c->config->n_by_ip; i++) {
		const struct address *addresses = c->config->addresses.items;
		const struct address *at = &addresses[c->config->by_ip[i]];
		const struct address *old = &addresses[c->config->by_ip[i - 1]];

		if (ip_equal(at->ip, old->ip))
			error_at(c, ip_node(c, at), "%s is that of %s already; choose another",
				 ip_format(at->ip).s, address_path(c, old));
	}
}

/* A container in a network, and one of its addresses there. */
struct owner {
	uint32_t network, name, family, index;
};

/* Docker gives a container one address of each family in a network. */
static void check_one_per_network(struct checker *c)
{
	struct config *config = c->config;
	struct owner *owners = arena_array(c->a, struct owner, config->addresses.n);
	const uint32_t *order;
	uint32_t n = 0;

	for (uint32_t i = 0; i < config->addresses.n; i++) {
		const struct address *at = &config->addresses.items[i];

		if (address_container(at) && at->network != NONE)
			owners[n++] = (struct owner){at->network, address_container(at),
						     at->ip.family, i};
	}
	/* only so that equal ones are side by side */
	order = order_by_bytes(c->a, owners, n, sizeof(*owners), offsetof(struct owner, index));
	for (uint32_t i = 1; i < n; i++) {
		const struct owner *first = &owners[order[i - 1]], *second = &owners[order[i]];
		const struct address *old = &config->addresses.items[first->index];
		const struct address *at = &config->addresses.items[second->index];

		if (!memcmp(first, second, offsetof(struct owner, index)))
			error_at(c,
				 node_of_field(c->text, address_node(c, at),
					       at->container_name ? "container_name" : "selector"),
				 "container \"%s\" has %s in this network already (%s); a "
				 "container has one IPv%u address in a network",
				 config_name(config, second->name), ip_format(old->ip).s,
				 address_path(c, old), at->ip.family);
	}
}

void config_check(struct config *config, struct config_text *text, struct diags *diags,
		  struct arena *a)
{
	struct checker c = {.config = config, .text = text, .diags = diags, .a = a};

	c.networks_broken = !config_check_networks(config, text, diags, a);
	sort_addresses(&c);
	list_each (at, &config->addresses)
		if (at->ip.family)
			check_address(&c, at);
	check_equal_addresses(&c);
	check_one_per_network(&c);
	config_choose_pools(config);
	config->resolvable = true;
	list_each (diag, &diags->list)
		config->resolvable &=
			diag->severity != SEVERITY_ERROR || is_within(diag, "policies[");
	config_check_policies(config, text, diags, a);
}
