/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes requests, reads error answers, and finds networks and containers. */
#include "core/engine/engine.h"

#include "base/buf.h"
#include "base/foreign.h"
#include "core/json/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_pair(const struct pair *pairs, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(pairs[i].name, name))
			return true;
	return false;
}

static bool is_ipv4(const struct json *json, uint32_t pool)
{
	AUTO_RELEASE struct arena a = {0};
	uint32_t node = json_member(json, pool, "Subnet");
	struct json_string subnet = {0};
	struct prefix p;

	if (node != JSON_ROOT)
		subnet = json_string_of(json, node, &a);
	return subnet.text && prefix_parse(&p, arena_strndup(&a, subnet.text, subnet.len)) &&
	       p.ip.family == 4;
}

/* Appends the address pools of the other family. */
static void add_other_pools(struct buf *pools, const char *was)
{
	AUTO_RELEASE struct arena a = {0};
	struct json_error wrong;
	struct json json;

	if (!was || !json_parse(&json, &a, was, strlen(was), JSON_MAX_DEPTH, &wrong) ||
	    json_type_of(&json, JSON_ROOT) != JSON_TYPE_LIST)
		return;
	json_each (pool, &json, JSON_ROOT) {
		if (is_ipv4(&json, pool))
			continue;
		buf_puts(pools, ",");
		json_write(pools, &json, pool);
	}
}

static void set_pools(struct json_draft *root, const struct network *network)
{
	struct json_draft ipam = json_draft_of(root->a, json_draft_get(root, "IPAM"));
	struct json_draft pool = {.a = root->a};
	AUTO_BUF struct buf pools = {0};

	json_draft_set_string(&pool, "Subnet", prefix_format_full(network->subnet).s);
	if (network->gateway.family)
		json_draft_set_string(&pool, "Gateway", ip_format(network->gateway).s);
	if (network->ip_range.ip.family)
		json_draft_set_string(&pool, "IPRange", prefix_format_full(network->ip_range).s);
	buf_puts(&pools, "[");
	json_draft_write(&pools, &pool);
	add_other_pools(&pools, json_draft_get(&ipam, "Config"));
	buf_puts(&pools, "]");
	json_draft_set(&ipam, "Config", buf_text(&pools));
	json_draft_set_object(root, "IPAM", &ipam);
}

/* The user's own options override those that we derive. */
static void set_options(struct json_draft *root, const struct network *network)
{
	static const char bridge_name[] = "com.docker.network.bridge.name";
	static const char mtu[] = "com.docker.network.driver.mtu";
	struct json_draft options = json_draft_of(root->a, json_draft_get(root, "Options"));
	const struct pair *declared = network->options.items;
	uint32_t n = network->options.n;

	if (!strcmp(network->driver, "bridge") && network->bridge_name &&
	    (network->bridge_name_declared || !json_draft_get(&options, bridge_name)) &&
	    !has_pair(declared, n, bridge_name))
		json_draft_set_string(&options, bridge_name, network->bridge_name);
	if (network->mtu && !has_pair(declared, n, mtu))
		json_draft_set_string(&options, mtu, arena_printf(root->a, "%u", network->mtu));
	list_each (option, &network->options)
		json_draft_set_string(&options, option->name, option->value);
	json_draft_set_object(root, "Options", &options);
}

/* A label with the name of our mark is ours; the file can't set it. */
static void set_labels(struct json_draft *root, const struct network *network)
{
	struct json_draft labels = json_draft_of(root->a, json_draft_get(root, "Labels"));

	list_each (label, &network->labels)
		json_draft_set_string(&labels, label->name, label->value);
	json_draft_set_string(&labels, MANAGED_LABEL, "1");
	json_draft_set_object(root, "Labels", &labels);
}

static void set_declared(struct json_draft *root, const struct network *network)
{
	json_draft_set_string(root, "Driver", network->driver);
	if (network->internal)
		json_draft_set(root, "Internal", "true");
	if (network->subnet.ip.family)
		set_pools(root, network);
	set_options(root, network);
	set_labels(root, network);
}

void engine_encode_network(struct buf *body, const struct network *network,
			   const struct kept_network *was, bool check_duplicate)
{
	AUTO_RELEASE struct arena a = {0};
	struct json_draft root = json_draft_of(&a, was ? was->settings : NULL);

	json_draft_set_string(&root, "Name", network ? network->name : was ? was->name : "");
	if (check_duplicate)
		json_draft_set(&root, "CheckDuplicate", "true");
	if (network)
		set_declared(&root, network);
	json_draft_write(body, &root);
}

void engine_encode_connect(struct buf *body, const char *container_id, const struct connecting *how)
{
	AUTO_RELEASE struct arena a = {0};
	struct json_draft root = {.a = &a}, endpoint = json_draft_of(&a, how->settings);
	struct json_draft config = json_draft_of(&a, json_draft_get(&endpoint, "IPAMConfig"));
	struct json_draft options = json_draft_of(&a, json_draft_get(&endpoint, "DriverOpts"));

	json_draft_set_string(&root, "Container", container_id);
	if (how->ip.family)
		json_draft_set_string(&config, how->ip.family == 6 ? "IPv6Address" : "IPv4Address",
				      ip_format(how->ip).s);
	else
		json_draft_remove(&config, "IPv4Address");
	if (config.members.n)
		json_draft_set_object(&endpoint, "IPAMConfig", &config);
	else
		json_draft_remove(&endpoint, "IPAMConfig");
	if (how->managed) {
		json_draft_set_string(&options, MANAGED_LABEL, "1");
		json_draft_set_object(&endpoint, "DriverOpts", &options);
	}
	if (endpoint.members.n)
		json_draft_set_object(&root, "EndpointConfig", &endpoint);
	json_draft_write(body, &root);
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

bool engine_has_address(const struct engine_endpoint *endpoint, struct ip ip)
{
	return ip_equal(endpoint->configured.family ? endpoint->configured : endpoint->ip, ip);
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
	list_each (option, &network->options)
		if (!strcmp(option->name, name))
			return option->value;
	return "";
}

bool gateway_mode_translates(const char *mode)
{
	return !*mode || !strcmp(mode, "nat");
}

bool engine_network_translates(const struct engine_network *network)
{
	return gateway_mode_translates(engine_network_option(network, GATEWAY_MODE));
}

bool gateway_mode_is_open(const char *mode)
{
	return !strcmp(mode, "nat-unprotected");
}

bool engine_network_is_open(const struct engine_network *network)
{
	return gateway_mode_is_open(engine_network_option(network, GATEWAY_MODE));
}
