/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What takes more than one field to see of networks: gateways and pools against subnets, subnets
 * and names against each other. Sorts and looks at neighbours, so that it stays linear (but for the
 * sorting) at every size the bounds allow. Fills what is derived: gateways, bridge names, pools.
 */
#include "core/config/impl.h"

#include <stdlib.h>
#include <string.h>

struct checker {
	struct config *config;
	struct config_text *text;
	struct diags *diags;
	struct arena *a;
};

/* The fields of a family, and the limits of its subnets. */
static const struct of_family {
	const char *subnet, *gateway, *ip_range;
	uint8_t smallest; /* longest prefix: it has a gateway and a container */
	const char *never[3];
} families[N_FAMILIES] = {
	[FAMILY_4] =
		{"subnet", "gateway", "ip_range", 30, {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"}},
	/* of ::/8: unspecified, loopback, IPv4 in IPv6, NAT64; link-local; multicast */
	[FAMILY_6] = {"subnet6", "gateway6", "ip_range6", 126, {"::/8", "fe80::/10", "ff00::/8"}},
};

static uint32_t network_node(const struct checker *c, const struct network *n)
{
	return c->text->declared[SECTION_NETWORKS].items[n - c->config->networks.items];
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

static const char *network_path(const struct checker *c, const struct network *n)
{
	return path_of_declared(c->a, "networks", n->key);
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

	return prefix_compare(a->prefix, b->prefix);
}

static void sort(struct sort_key *keys, uint32_t n, int (*order)(const void *, const void *))
{
	if (n)
		qsort(keys, n, sizeof(*keys), order);
}

/* --- one network --- */

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

static bool subnet_is_usable(struct checker *c, const struct network *n, enum family f)
{
	struct prefix subnet = n->ipam[f].subnet;
	const struct of_family *family = &families[f];

	for (size_t i = 0; i < COUNT_OF(family->never); i++) {
		struct prefix prefix;

		if (prefix_parse(&prefix, family->never[i]) && prefix_overlaps(prefix, subnet)) {
			network_error(c, n, family->subnet,
				      "%s overlaps %s, which no container can use",
				      prefix_format(subnet).s, family->never[i]);
			return false;
		}
	}
	if (subnet.len <= family->smallest)
		return true;
	network_error(c, n, family->subnet,
		      "%s has no room for a gateway and a container; use /%u or wider",
		      prefix_format_full(subnet).s, family->smallest);
	return false;
}

const char *config_reserved(struct prefix subnet, struct ip ip)
{
	if (ip_equal(ip, prefix_first(subnet)))
		return "network";
	return ip.family == 4 && ip_equal(ip, prefix_last(subnet)) ? "broadcast" : NULL;
}

/*
 * Docker 20 and 26 count addresses in 64 bits: from a range that reaches the end of a /64 they give
 * none, and connecting fails with 500 "invalid bit range".
 */
static bool ends_where_docker_overflows(struct prefix subnet, struct prefix part)
{
	return subnet.ip.family == 6 && subnet.len <= 64 &&
	       ip_equal(prefix_last(part), prefix_last(subnet));
}

static void check_pool(struct checker *c, const struct network *n, enum family f)
{
	struct prefix subnet = n->ipam[f].subnet, pool = n->ipam[f].ip_range;

	if (!prefix_covers(subnet, pool))
		network_error(c, n, families[f].ip_range, "%s lies outside the subnet %s",
			      prefix_format(pool).s, prefix_format(subnet).s);
	else if (pool.len > subnet.len && ends_where_docker_overflows(subnet, pool))
		diag_at(c->diags, SEVERITY_WARNING, c->text,
			node_of_field(c->text, network_node(c, n), families[f].ip_range),
			"Docker 20 to 26 give no address from a range at the end of a /64 "
			"(\"invalid bit range\"); take another part of %s, or leave it out",
			prefix_format(subnet).s);
}

/* Gateway and pool against the subnet of their family. */
static void check_family(struct checker *c, struct network *n, enum family f)
{
	const struct of_family *family = &families[f];
	struct ipam *own = &n->ipam[f];
	const char *reserved;

	if (!own->subnet.ip.family)
		return;
	if (!subnet_is_usable(c, n, f)) {
		own->subnet = (struct prefix){0};
		return;
	}
	reserved = config_reserved(own->subnet, own->gateway);
	if (!own->gateway.family)
		own->gateway = ip_plus(prefix_first(own->subnet), 1);
	else if (!prefix_contains(own->subnet, own->gateway))
		network_error(c, n, family->gateway, "%s lies outside the subnet %s",
			      ip_format(own->gateway).s, prefix_format(own->subnet).s);
	else if (reserved)
		network_error(c, n, family->gateway, "%s is the %s address of %s",
			      ip_format(own->gateway).s, reserved, prefix_format(own->subnet).s);
	if (n->ip_range_declared[f])
		check_pool(c, n, f);
}

static void check_network(struct checker *c, struct network *n)
{
	bool predefined =
		!strcmp(n->name, "bridge") || !strcmp(n->name, "host") || !strcmp(n->name, "none");

	if (predefined)
		error_at(c, name_node(c, n),
			 "\"%s\" is Docker's own network, without static addresses; choose another "
			 "network_name",
			 n->name);
	check_options(c, n);
	for (enum family f = 0; f < N_FAMILIES; f++)
		check_family(c, n, f);
}

/* --- networks against each other --- */

static void say_overlap(struct checker *c, uint32_t first, uint32_t second, enum family f)
{
	/* the error is at the one that stands later in the file */
	const struct network *networks = c->config->networks.items;
	const struct network *old = &networks[first < second ? first : second];
	const struct network *new = &networks[first < second ? second : first];

	network_error(c, new, families[f].subnet, "%s overlaps %s of %s; choose another",
		      prefix_format(new->ipam[f].subnet).s, prefix_format(old->ipam[f].subnet).s,
		      network_path(c, old));
}

/* Keeps the subnets that overlap none before them, sorted. */
static void check_overlaps(struct checker *c)
{
	struct config *config = c->config;
	struct sort_key *keys =
		arena_array(c->a, struct sort_key, (size_t)config->networks.n * N_FAMILIES);
	uint32_t n = 0;

	for (uint32_t i = 0; i < config->networks.n; i++)
		for (enum family f = 0; f < N_FAMILIES; f++) {
			struct prefix subnet = config->networks.items[i].ipam[f].subnet;

			if (subnet.ip.family)
				keys[n++] = (struct sort_key){.prefix = subnet, .index = i};
		}
	sort(keys, n, by_prefix);
	config->by_subnet = arena_array(c->a, struct declared_subnet, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct declared_subnet *last =
			config->n_by_subnet ? &config->by_subnet[config->n_by_subnet - 1] : NULL;

		if (last && prefix_overlaps(last->subnet, keys[i].prefix)) {
			say_overlap(c, last->network, keys[i].index, ip_family(keys[i].prefix.ip));
			continue;
		}
		config->by_subnet[config->n_by_subnet++] =
			(struct declared_subnet){keys[i].prefix, keys[i].index};
		config->has_ipv6 |= keys[i].prefix.ip.family == 6;
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

/* Texts that no two networks may share. */
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

		/* two of one name derive one bridge: the name is reported already */
		if (strcmp(keys[i].text, keys[i - 1].text) != 0 ||
		    (d->text == bridge_of && !strcmp(old->name, new->name)))
			continue;
		error_at(c, d->node(c, new), "the %s \"%s\" is that of %s already; choose another",
			 d->what, keys[i].text, network_path(c, old));
	}
}

/* Never change it: standing bridges have names that were derived with it. */
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

bool is_within(const struct diag *diag, const char *section)
{
	return !strncmp(diag->path, section, strlen(section));
}

bool config_check_networks(struct config *config, struct config_text *text, struct diags *diags,
			   struct arena *a)
{
	struct checker c = {.config = config, .text = text, .diags = diags, .a = a};
	bool known = true;

	list_each (n, &config->networks) {
		if (!n->bridge_name)
			n->bridge_name = config_bridge_name(a, n->name);
		check_network(&c, n);
	}
	check_overlaps(&c);
	list_each (diag, &diags->list)
		known &= diag->severity != SEVERITY_ERROR || !is_within(diag, "networks");
	for (size_t i = 0; i < COUNT_OF(distinct); i++)
		check_distinct(&c, &distinct[i]);
	return known;
}

/* --- pools --- */

static bool holds_address(const struct config *config, struct prefix part)
{
	uint32_t first = config_first_ip(config, part.ip);

	return first < config->n_by_ip &&
	       prefix_contains(part, config->addresses.items[config->by_ip[first]].ip);
}

/* The largest half, quarter, eighth … that holds no declared address; of two, the upper one. */
static struct prefix free_part(const struct config *config, const struct ipam *own,
			       uint8_t smallest)
{
	/* a smaller pool is of no use */
	enum { DEEPEST = 10 };

	for (uint8_t bits = 1; bits <= DEEPEST && own->subnet.len + bits <= smallest; bits++)
		for (uint32_t i = 1u << bits; i-- > 0;) {
			struct prefix part =
				prefix_part(own->subnet, (uint8_t)(own->subnet.len + bits), i);

			if (!holds_address(config, part) && !prefix_contains(part, own->gateway) &&
			    !ends_where_docker_overflows(own->subnet, part))
				return part;
		}
	return (struct prefix){0};
}

void config_choose_pools(struct config *config)
{
	list_each (n, &config->networks)
		for (enum family f = 0; f < N_FAMILIES; f++)
			if (n->ipam[f].subnet.ip.family && !n->ip_range_declared[f])
				n->ipam[f].ip_range =
					free_part(config, &n->ipam[f], families[f].smallest);
}
