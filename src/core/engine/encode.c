/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes requests, reads error answers, and finds networks and containers. */
#include "core/engine/engine.h"

#include "base/buf.h"
#include "base/foreign.h"
#include "core/config/drivers.h"
#include "core/json/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Its subnet is of a family that the file declares. */
static bool is_declared(const struct json *json, uint32_t pool, const struct network *network)
{
	AUTO_RELEASE struct arena a = {0};
	uint32_t node = json_member(json, pool, "Subnet");
	struct json_string subnet = {0};
	struct prefix p;

	if (node != JSON_ROOT)
		subnet = json_string_of(json, node, &a);
	return subnet.text && prefix_parse(&p, arena_strndup(&a, subnet.text, subnet.len)) &&
	       network->ipam[ip_family(p.ip)].subnet.ip.family;
}

/* Appends the address pools of a family that the file does not declare. */
static void add_other_pools(struct buf *pools, const char *was, const struct network *network)
{
	AUTO_RELEASE struct arena a = {0};
	struct json_error wrong;
	struct json json;

	if (!was || !json_parse(&json, &a, was, strlen(was), JSON_MAX_DEPTH, &wrong) ||
	    json_type_of(&json, JSON_ROOT) != JSON_TYPE_LIST)
		return;
	json_each (pool, &json, JSON_ROOT) {
		if (is_declared(&json, pool, network))
			continue;
		buf_puts(pools, ",");
		json_write(pools, &json, pool);
	}
}

/* A gateway that is not sent is not in what 20 to 28 say of the network afterwards. */
static void add_pool(struct buf *pools, struct arena *a, const struct ipam *ipam)
{
	struct json_builder pool = {.a = a};

	json_builder_set_string(&pool, "Subnet", prefix_format_full(ipam->subnet).s);
	if (ipam->gateway.family)
		json_builder_set_string(&pool, "Gateway", ip_format(ipam->gateway).s);
	if (ipam->ip_range.ip.family)
		json_builder_set_string(&pool, "IPRange", prefix_format_full(ipam->ip_range).s);
	json_builder_write(pools, &pool);
}

static void set_pools(struct json_builder *root, const struct network *network)
{
	struct json_builder ipam = json_builder_of(root->a, json_builder_get(root, "IPAM"));
	AUTO_BUF struct buf pools = {0};

	for (enum family f = 0; f < N_FAMILIES; f++)
		if (network->ipam[f].subnet.ip.family) {
			buf_puts(&pools, pools.len ? "," : "[");
			add_pool(&pools, root->a, &network->ipam[f]);
		}
	add_other_pools(&pools, json_builder_get(&ipam, "Config"), network);
	buf_puts(&pools, "]");
	json_builder_set(&ipam, "Config", buf_text(&pools));
	json_builder_set_object(root, "IPAM", &ipam);
}

/* The user's own options override those that we derive. */
static void set_options(struct json_builder *root, const struct network *network)
{
	static const char bridge_name[] = "com.docker.network.bridge.name";
	static const char mtu[] = "com.docker.network.driver.mtu";
	struct json_builder options = json_builder_of(root->a, json_builder_get(root, "Options"));

	if (!strcmp(network->driver, "bridge") && network->bridge_name &&
	    (network->bridge_name_declared || !json_builder_get(&options, bridge_name)) &&
	    !pair_value(&network->options, bridge_name))
		json_builder_set_string(&options, bridge_name, network->bridge_name);
	if (network->mtu && !pair_value(&network->options, mtu))
		json_builder_set_string(&options, mtu, arena_printf(root->a, "%u", network->mtu));
	list_each (option, &network->options)
		json_builder_set_string(&options, option->name, option->value);
	json_builder_set_object(root, "Options", &options);
}

/* A label with the name of our mark is ours; the file can't set it. */
static void set_labels(struct json_builder *root, const struct network *network)
{
	struct json_builder labels = json_builder_of(root->a, json_builder_get(root, "Labels"));

	list_each (label, &network->labels)
		json_builder_set_string(&labels, label->name, label->value);
	json_builder_set_string(&labels, MANAGED_LABEL, "1");
	json_builder_set_object(root, "Labels", &labels);
}

/*
 * EnableIPv4 is of API 1.48 (Docker 28) and ignored by older engines, which are not asked for a
 * network of IPv6 alone. One that had IPv4 keeps it.
 */
static void set_families(struct json_builder *root, const struct network *network)
{
	if (!network->subnet6.ip.family)
		return;
	json_builder_set(root, "EnableIPv6", "true");
	if (!network->subnet.ip.family && !json_builder_get(root, "EnableIPv4"))
		json_builder_set(root, "EnableIPv4", "false");
}

static void set_declared(struct json_builder *root, const struct network *network)
{
	json_builder_set_string(root, "Driver", network->driver);
	if (network->internal)
		json_builder_set(root, "Internal", "true");
	if (network->subnet.ip.family || network->subnet6.ip.family)
		set_pools(root, network);
	set_families(root, network);
	set_options(root, network);
	set_labels(root, network);
}

void engine_encode_network(struct buf *body, const struct network *network,
			   const struct kept_network *was, bool check_duplicate)
{
	AUTO_RELEASE struct arena a = {0};
	struct json_builder root = json_builder_of(&a, was ? was->settings : NULL);

	json_builder_set_string(&root, "Name", network ? network->name : was ? was->name : "");
	if (check_duplicate)
		json_builder_set(&root, "CheckDuplicate", "true");
	if (network)
		set_declared(&root, network);
	json_builder_write(body, &root);
}

static void set_address(struct json_builder *config, const char *name, struct ip ip)
{
	if (ip.family)
		json_builder_set_string(config, name, ip_format(ip).s);
	else
		json_builder_remove(config, name);
}

void engine_encode_connect(struct buf *body, const char *container_id, const struct connecting *how)
{
	AUTO_RELEASE struct arena a = {0};
	struct json_builder root = {.a = &a}, endpoint = json_builder_of(&a, how->settings);
	struct json_builder config = json_builder_of(&a, json_builder_get(&endpoint, "IPAMConfig"));
	struct json_builder options =
		json_builder_of(&a, json_builder_get(&endpoint, "DriverOpts"));

	json_builder_set_string(&root, "Container", container_id);
	set_address(&config, "IPv4Address", how->ip);
	set_address(&config, "IPv6Address", how->ip6);
	if (config.members.n)
		json_builder_set_object(&endpoint, "IPAMConfig", &config);
	else
		json_builder_remove(&endpoint, "IPAMConfig");
	if (how->managed) {
		json_builder_set_string(&options, MANAGED_LABEL, "1");
		json_builder_set_object(&endpoint, "DriverOpts", &options);
	}
	if (endpoint.members.n)
		json_builder_set_object(&root, "EndpointConfig", &endpoint);
	json_builder_write(body, &root);
}

void engine_encode_disconnect(struct buf *body, const char *container_id, bool force)
{
	buf_puts(body, "{\"Container\":");
	buf_json_string(body, container_id);
	buf_printf(body, ",\"Force\":%s}", force ? "true" : "false");
}

/*
 * On one line: Docker 28 writes "invalid endpoint settings:\n…", and a proxy may answer with a
 * page.
 */
static void flatten(char *text)
{
	size_t len = strlen(text);

	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	while (len && text[len - 1] == ' ')
		text[--len] = '\0';
}

static size_t first_line(const char *body, size_t len)
{
	size_t n = 0;

	while (n < len && n < 400 && body[n] && body[n] != '\r' && body[n] != '\n')
		n++;
	return n;
}

bool engine_decode_error(struct error *err, int status, const char *body, size_t len)
{
	AUTO_RELEASE struct arena a = {0};
	char text[400] = "(no message)";
	struct json_string message = {0};
	struct json_error wrong;
	struct json json;
	uint32_t node;

	if (json_parse(&json, &a, body, len, JSON_MAX_DEPTH, &wrong)) {
		node = json_member(&json, JSON_ROOT, "message");
		if (node != JSON_ROOT)
			message = json_string_of(&json, node, &a);
	}
	if (message.len)
		snprintf(text, sizeof(text), "%.*s", (int)message.len, message.text);
	else if (len)
		snprintf(text, sizeof(text), "%.*s", (int)first_line(body, len), body);
	flatten(text);
	return error_set(err, status, "%d %s", status, text);
}

struct engine_network *engine_find_network(const struct engine *e, const char *name)
{
	uint32_t at = hash_index_find(&e->networks_by_name, hash_text(name), i,
				      !strcmp(e->networks.items[i].name, name));

	return at == NONE ? NULL : &e->networks.items[at];
}

struct engine_container *engine_find_container(const struct engine *e, const char *name)
{
	uint32_t at = hash_index_find(&e->containers_by_name, hash_text(name), i,
				      !strcmp(e->containers.items[i].name, name));

	return at == NONE ? NULL : &e->containers.items[at];
}

struct ip engine_address(const struct engine_endpoint *e, enum family family)
{
	struct ip configured = family == FAMILY_6 ? e->configured6 : e->configured;

	return configured.family ? configured : family == FAMILY_6 ? e->ip6 : e->ip;
}

bool engine_has_addresses(const struct engine_endpoint *e, struct ip ip, struct ip ip6)
{
	return (!ip.family || ip_equal(engine_address(e, FAMILY_4), ip)) &&
	       (!ip6.family || ip_equal(engine_address(e, FAMILY_6), ip6));
}

struct engine_endpoint *engine_find_endpoint(const struct engine_container *c, const char *network)
{
	list_each (endpoint, &c->endpoints)
		if (!strcmp(endpoint->network, network))
			return endpoint;
	return NULL;
}

const char *engine_network_option(const struct engine_network *network, const char *name)
{
	const char *value = pair_value(&network->options, name);

	return value ? value : "";
}

bool gateway_mode_translates(const char *mode)
{
	return !*mode || !strcmp(mode, "nat");
}

static const char *gateway_mode_of(const struct engine_network *network, uint8_t family)
{
	return engine_network_option(network, family == 6 ? GATEWAY_MODE6 : GATEWAY_MODE);
}

bool engine_network_translates(const struct engine_network *network, uint8_t family)
{
	return gateway_mode_translates(gateway_mode_of(network, family));
}

bool gateway_mode_is_open(const char *mode)
{
	return !strcmp(mode, "nat-unprotected");
}

bool engine_network_is_open(const struct engine_network *network, uint8_t family)
{
	return gateway_mode_is_open(gateway_mode_of(network, family));
}
