/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What takes more than one field to see: subnets against each other, addresses against subnets.
 * Sorts and looks at neighbours, so that it stays linear (but for the sorting) at every size the
 * bounds allow. Fills what is derived: gateways, bridge names, pools, the network of every address.
 */
#include "base/order.h"
#include "core/config/impl.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST_SUBNET = 30 }; /* bits: room for a gateway and a container */

struct checker {
	struct config *config;
	struct config_text *text;
	struct diags *diags;
	struct arena *a;
	bool networks_broken; /* whether an address lies in one can't be said */
};

static uint32_t network_node(const struct checker *c, const struct network *n)
{
	return c->text->declared[SECTION_NETWORKS].items[n - c->config->networks.items];
}

static uint32_t address_node(const struct checker *c, const struct address *at)
{
	return c->text->declared[SECTION_IPS].items[at - c->config->addresses.items];
}

/* Where its name stands: the key, or a field of its own. */
static uint32_t name_node(const struct checker *c, const struct network *n)
{
	uint32_t node = network_node(c, n);

	return n->name == n->key ? node_of_key(node) : node_of_field(c->text, node, "network_name");
}

static uint32_t bridge_node(const struct checker *c, const struct network *n)
{
	return n->bridge_name_declared ? node_of_field(c->text, network_node(c, n), "bridge_name")
				       : name_node(c, n);
}

static uint32_t ip_node(const struct checker *c, const struct address *at)
{
	uint32_t node = address_node(c, at);
	struct ip key;

	return ip_parse(&key, at->key) && ip_equal(key, at->ip)
		       ? node_of_key(node)
		       : node_of_field(c->text, node, "ip");
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
#define network_error(c, n, field, ...)                                                            \
	error_at(c, node_of_field((c)->text, network_node(c, n), field), __VA_ARGS__)

/* An order of networks by a text or subnet; equal ones stay in file order. */
struct sort_key {
	const char *text;
	struct prefix prefix;
	uint32_t index;
};

static int by_text(const void *left, const void *right)
{
	const struct sort_key *a = left, *b = right;
	int order = strcmp(a->text, b->text);

	return order ? order : (a->index > b->index) - (a->index < b->index);
}

static int by_prefix(const void *left, const void *right)
{
	const struct sort_key *a = left, *b = right;
	int order = ip_compare(a->prefix.ip, b->prefix.ip);

	return order ? order : a->prefix.len - b->prefix.len;
}

static void sort(struct sort_key *keys, uint32_t n, int (*order)(const void *, const void *))
{
	if (n)
		qsort(keys, n, sizeof(*keys), order);
}

/* --- networks --- */

static bool subnet_is_usable(struct checker *c, const struct network *n)
{
	static const char *const never[] = {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"};

	for (size_t i = 0; i < COUNT_OF(never); i++) {
		struct prefix prefix;

		if (prefix_parse(&prefix, never[i]) && prefix_overlaps(prefix, n->subnet)) {
			network_error(c, n, "subnet", "%s overlaps %s, which no container can use",
				      prefix_format(n->subnet).s, never[i]);
			return false;
		}
	}
	if (n->subnet.len <= SMALLEST_SUBNET)
		return true;
	network_error(c, n, "subnet",
		      "%s has no room for a gateway and a container; use /%d or wider",
		      prefix_format_full(n->subnet).s, SMALLEST_SUBNET);
	return false;
}

/* Docker takes any name that the kernel takes; our rules are written with it. */
static void check_options(struct checker *c, const struct network *n)
{
#define BRIDGE "com.docker.network.bridge.name"
	list_each (option, &n->options)
		if (!strcmp(option->name, BRIDGE) && !is_ifname(option->value))
			error_at(
				c,
				node_of_field(c->text,
					      node_of_field(c->text, network_node(c, n), "options"),
					      BRIDGE),
				"this is not the name of one interface; leave it out, or write "
				"bridge_name");
#undef BRIDGE
}

static void check_network(struct checker *c, struct network *n)
{
	bool predefined =
		!strcmp(n->name, "bridge") || !strcmp(n->name, "host") || !strcmp(n->name, "none");

	if (predefined)
		error_at(c, name_node(c, n),
			 "\"%s\" is Docker's own network, without static addresses; choose "
			 "another network_name",
			 n->name);
	check_options(c, n);
	if (!n->subnet.ip.family)
		return;
	if (!subnet_is_usable(c, n)) {
		n->subnet = (struct prefix){0};
		return;
	}
	if (!n->gateway.family)
		n->gateway = ip_plus(prefix_first(n->subnet), 1);
	else if (!prefix_contains(n->subnet, n->gateway))
		network_error(c, n, "gateway", "%s lies outside the subnet %s",
			      ip_format(n->gateway).s, prefix_format(n->subnet).s);
	else if (ip_equal(n->gateway, prefix_first(n->subnet)) ||
		 ip_equal(n->gateway, prefix_last(n->subnet)))
		network_error(
			c, n, "gateway", "%s is the %s address of %s", ip_format(n->gateway).s,
			ip_equal(n->gateway, prefix_first(n->subnet)) ? "network" : "broadcast",
			prefix_format(n->subnet).s);
	if (n->ip_range_declared[FAMILY_4] && !prefix_covers(n->subnet, n->ip_range))
		network_error(c, n, "ip_range", "%s lies outside the subnet %s",
			      prefix_format(n->ip_range).s, prefix_format(n->subnet).s);
}

/* The subnets that overlap nothing before them, sorted. */
static void check_overlaps(struct checker *c)
{
	struct config *config = c->config;
	struct sort_key *keys = arena_array(c->a, struct sort_key, config->networks.n);
	uint32_t n = 0;

	for (uint32_t i = 0; i < config->networks.n; i++)
		if (config->networks.items[i].subnet.ip.family)
			keys[n++] = (struct sort_key){.prefix = config->networks.items[i].subnet,
						      .index = i};
	sort(keys, n, by_prefix);
	config->by_subnet = arena_array(c->a, struct declared_subnet, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t last = config->n_by_subnet
					? config->by_subnet[config->n_by_subnet - 1].network
					: NONE;
		const struct network *old, *new;

		if (last == NONE ||
		    !prefix_overlaps(config->networks.items[last].subnet, keys[i].prefix)) {
			config->by_subnet[config->n_by_subnet++] =
				(struct declared_subnet){keys[i].prefix, keys[i].index};
			continue;
		}
		/* the one that stands later in the file is told */
		old = &config->networks.items[last < keys[i].index ? last : keys[i].index];
		new = &config->networks.items[last < keys[i].index ? keys[i].index : last];
		network_error(c, new, "subnet", "%s overlaps %s of %s; choose another",
			      prefix_format(new->subnet).s, prefix_format(old->subnet).s,
			      network_path(c, old));
	}
}

static const char *name_of(const struct network *n)
{
	return n->name;
}

static const char *bridge_of(const struct network *n)
{
	return n->bridge_name;
}

/* Two networks of one name, or of one bridge. */
static const struct distinct {
	const char *(*text)(const struct network *n);
	uint32_t (*node)(const struct checker *c, const struct network *n);
	const char *what;
} distinct[] = {{name_of, name_node, "name"}, {bridge_of, bridge_node, "bridge"}};

static void check_distinct(struct checker *c, const struct distinct *d)
{
	struct config *config = c->config;
	struct sort_key *keys = arena_array(c->a, struct sort_key, config->networks.n);
	uint32_t n = config->networks.n;

	for (uint32_t i = 0; i < n; i++)
		keys[i] =
			(struct sort_key){.text = d->text(&config->networks.items[i]), .index = i};
	sort(keys, n, by_text);
	for (uint32_t i = 1; i < n; i++) {
		const struct network *old = &config->networks.items[keys[i - 1].index];
		const struct network *new = &config->networks.items[keys[i].index];

		/* networks of one name have one derived bridge: that was said with the name */
		if (strcmp(keys[i].text, keys[i - 1].text) != 0 ||
		    (d->text == bridge_of && !strcmp(old->name, new->name)))
			continue;
		error_at(c, d->node(c, new), "the %s \"%s\" is that of %s already; choose another",
			 d->what, keys[i].text, network_path(c, old));
	}
}

/* Bridges that stand bear its outcome: it stays as it is. */
static uint64_t digest(const char *text, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, eight bytes at a time */

	for (; len >= 8; text += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, text, 8);
		hash = (hash ^ word) * 0x100000001b3;
		hash ^= hash >> 29;
	}
	for (; len; text++, len--)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return hash;
}

/* The interface name that Docker is told for a network without bridge_name: "hw-" and a hash. */
static const char *config_bridge_name(struct arena *a, const char *network_name)
{
	uint64_t hash = digest(network_name, strlen(network_name));

	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93; /* spreads short names over all bits */
	hash ^= hash >> 32;
	return arena_printf(a, "hw-%012llx", (unsigned long long)(hash & 0xffffffffffff));
}

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

/* Copied from another entry, and only one of the two changed? */
static void warn_of_other_key(struct checker *c, const struct address *at)
{
	struct ip key;

	if (ip_parse(&key, at->key) && !ip_equal(key, at->ip))
		diag_at(c->diags, SEVERITY_WARNING, c->text, ip_node(c, at),
			"the address is %s, not that of the key; write the same, or a name as the "
			"key",
			ip_format(at->ip).s);
}

static void check_address(struct checker *c, struct address *at)
{
	const struct network *n;
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
	what = ip_equal(at->ip, prefix_first(n->subnet))  ? "network"
	       : ip_equal(at->ip, prefix_last(n->subnet)) ? "broadcast"
	       : ip_equal(at->ip, n->gateway)		  ? "gateway"
							  : NULL;
	if (what)
		error_at(c, ip_node(c, at), "%s is the %s address of %s; choose another",
			 ip_format(at->ip).s, what, network_path(c, n));
}

/* Those without an address come first: they have none of its bytes. */
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

/* Whose an address is, and where. */
struct owner {
	uint32_t network, name, index;
};

/* Docker gives a container one address in a network. */
static void check_one_per_network(struct checker *c)
{
	struct config *config = c->config;
	struct owner *owners = arena_array(c->a, struct owner, config->addresses.n);
	const uint32_t *order;
	uint32_t n = 0;

	for (uint32_t i = 0; i < config->addresses.n; i++) {
		const struct address *at = &config->addresses.items[i];

		if (address_container(at) && at->network != NONE)
			owners[n++] = (struct owner){at->network, address_container(at), i};
	}
	/* any order will do that has equal ones side by side */
	order = order_by_bytes(c->a, owners, n, sizeof(*owners), offsetof(struct owner, index));
	for (uint32_t i = 1; i < n; i++) {
		const struct owner *first = &owners[order[i - 1]], *second = &owners[order[i]];
		const struct address *old = &config->addresses.items[first->index];
		const struct address *at = &config->addresses.items[second->index];

		if (first->network == second->network && first->name == second->name)
			error_at(c,
				 node_of_field(c->text, address_node(c, at),
					       at->container_name ? "container_name" : "selector"),
				 "container \"%s\" has %s in this network already (%s); a "
				 "container has one address in a network",
				 config_name(config, second->name), ip_format(old->ip).s,
				 address_path(c, old));
	}
}

/* --- pools --- */

static bool holds_address(const struct config *config, struct prefix part)
{
	uint32_t first = config_first_ip(config, part.ip);

	return first < config->n_by_ip &&
	       prefix_contains(part, config->addresses.items[config->by_ip[first]].ip);
}

/* The largest half, quarter … without a declared address, the upper one first. */
static struct prefix free_part(const struct config *config, const struct network *n)
{
	for (uint32_t len = n->subnet.len + 1u; len <= SMALLEST_SUBNET; len++) {
		uint32_t parts = 1u << (len - n->subnet.len), size = 1u << (32 - len);

		/* deeper than this, so many addresses are declared that nobody wants a pool */
		if (parts > 1024)
			break;
		for (uint32_t i = parts; i-- > 0;) {
			struct prefix part = {ip_plus(prefix_first(n->subnet), i * size),
					      (uint8_t)len};

			if (!holds_address(config, part) && !prefix_contains(part, n->gateway))
				return part;
		}
	}
	return (struct prefix){0};
}

static void choose_pools(struct config *config)
{
	list_each (network, &config->networks)
		if (network->subnet.ip.family && !network->ip_range_declared[FAMILY_4])
			network->ip_range = free_part(config, network);
}

static bool is_within(const struct diag *diag, const char *section)
{
	return !strncmp(diag->path, section, strlen(section));
}

void config_check(struct config *config, struct config_text *text, struct diags *diags,
		  struct arena *a)
{
	struct checker c = {.config = config, .text = text, .diags = diags, .a = a};

	list_each (n, &config->networks) {
		if (!n->bridge_name)
			n->bridge_name = config_bridge_name(a, n->name);
		check_network(&c, n);
	}
	check_overlaps(&c);
	list_each (diag, &diags->list)
		c.networks_broken |=
			diag->severity == SEVERITY_ERROR && is_within(diag, "networks");
	for (size_t i = 0; i < COUNT_OF(distinct); i++)
		check_distinct(&c, &distinct[i]);
	list_each (at, &config->addresses)
		if (at->ip.family)
			check_address(&c, at);
	sort_addresses(&c);
	check_equal_addresses(&c);
	check_one_per_network(&c);
	choose_pools(config);
	config->resolvable = true;
	list_each (diag, &diags->list)
		config->resolvable &=
			diag->severity != SEVERITY_ERROR || is_within(diag, "policies[");
	config_check_policies(config, text, diags, a);
}
