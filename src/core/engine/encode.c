/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a Docker engine is asked for, what its errors say, and finding what it has. */
#include "core/engine/engine.h"

#include "base/buf.h"
#include "core/engine/json.h"

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

static void set_text(json_t *object, const char *name, const char *text)
{
	json_object_set_new(object, name, json_string(text));
}

/* The object that is a member of another, made if it is none yet. */
static json_t *member(json_t *object, const char *name)
{
	json_t *found = json_object_get(object, name);

	if (json_is_object(found))
		return found;
	found = json_object();
	json_object_set_new(object, name, found);
	return found;
}

static json_t *settings_or_nothing(const char *settings)
{
	json_t *object = settings ? json_loads(settings, 0, NULL) : NULL;

	return object ? object : json_object();
}

static void finish(struct buf *body, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	buf_puts(body, text ? text : "{}");
	free(text);
	json_decref(object);
}

static bool is_ipv4(const json_t *pool)
{
	const char *subnet = json_string_value(json_object_get(pool, "Subnet"));
	struct prefix p;

	return subnet && prefix_parse(&p, subnet) && p.ip.family == 4;
}

/* Its pools of the other family stay. */
static void set_pools(json_t *root, const struct network *network)
{
	json_t *ipam = member(root, "IPAM"), *was = json_object_get(ipam, "Config"), *other;
	json_t *pools = json_array(), *pool = json_object();
	size_t i;

	set_text(pool, "Subnet", prefix_format_full(network->subnet).s);
	if (network->gateway.family)
		set_text(pool, "Gateway", ip_format(network->gateway).s);
	if (network->ip_range.ip.family)
		set_text(pool, "IPRange", prefix_format_full(network->ip_range).s);
	json_array_append_new(pools, pool);
	json_array_foreach (was, i, other)
		if (!is_ipv4(other))
			json_array_append(pools, other);
	json_object_set_new(ipam, "Config", pools);
}

/* The user's own options win over those that we would derive. */
static void set_options(json_t *root, const struct network *network)
{
	static const char bridge_name[] = "com.docker.network.bridge.name";
	static const char mtu[] = "com.docker.network.driver.mtu";
	const struct pair *declared = network->options.items;
	uint32_t n = network->options.n;
	json_t *options = member(root, "Options");

	if (!strcmp(network->driver, "bridge") && network->bridge_name &&
	    (network->bridge_name_declared || !json_object_get(options, bridge_name)) &&
	    !has_pair(declared, n, bridge_name))
		set_text(options, bridge_name, network->bridge_name);
	if (network->mtu && !has_pair(declared, n, mtu)) {
		AUTO_BUF struct buf number = {0};

		buf_printf(&number, "%u", network->mtu);
		set_text(options, mtu, buf_text(&number));
	}
	list_each (option, &network->options)
		set_text(options, option->name, option->value);
}

/* Our mark is ours: a label of that name in the file is left out. */
static void set_labels(json_t *root, const struct network *network)
{
	json_t *labels = member(root, "Labels");

	list_each (label, &network->labels)
		set_text(labels, label->name, label->value);
	set_text(labels, MANAGED_LABEL, "1");
}

static void set_declared(json_t *root, const struct network *network)
{
	set_text(root, "Driver", network->driver);
	if (network->internal)
		json_object_set_new(root, "Internal", json_true());
	if (network->subnet.ip.family)
		set_pools(root, network);
	set_options(root, network);
	set_labels(root, network);
}

void engine_encode_network(struct buf *body, const struct network *network,
			   const struct kept_network *was, bool check_duplicate)
{
	json_t *root = settings_or_nothing(was ? was->settings : NULL);

	set_text(root, "Name", network ? network->name : was ? was->name : "");
	if (check_duplicate)
		json_object_set_new(root, "CheckDuplicate", json_true());
	if (network)
		set_declared(root, network);
	finish(body, root);
}

void engine_encode_connect(struct buf *body, const char *container_id, const struct connecting *how)
{
	json_t *root = json_object(), *endpoint = settings_or_nothing(how->settings);
	json_t *config = member(endpoint, "IPAMConfig");

	set_text(root, "Container", container_id);
	if (how->ip.family)
		set_text(config, how->ip.family == 6 ? "IPv6Address" : "IPv4Address",
			 ip_format(how->ip).s);
	else
		json_object_del(config, "IPv4Address");
	if (!json_object_size(config))
		json_object_del(endpoint, "IPAMConfig");
	if (how->managed)
		set_text(member(endpoint, "DriverOpts"), MANAGED_LABEL, "1");
	if (json_object_size(endpoint))
		json_object_set_new(root, "EndpointConfig", endpoint);
	else
		json_decref(endpoint);
	finish(body, root);
}

void engine_encode_disconnect(struct buf *body, const char *container_id, bool force)
{
	buf_puts(body, "{\"Container\":");
	buf_json_string(body, container_id);
	buf_printf(body, ",\"Force\":%s}", force ? "true" : "false");
}

/*
 * One printable line: 28 breaks "invalid endpoint settings:\n…" in two, and a proxy may answer
 * with a page.
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
	json_t *root = len ? json_loadb(body, len, 0, NULL) : NULL;
	const char *message = json_string_value(json_object_get(root, "message"));
	char text[400] = "(no message)";

	if (message && *message)
		snprintf(text, sizeof(text), "%s", message);
	else if (len)
		snprintf(text, sizeof(text), "%.*s", (int)first_line(body, len), body);
	flatten(text);
	json_decref(root);
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

bool engine_network_is_open(const struct engine_network *network)
{
	return !strcmp(engine_network_option(network, GATEWAY_MODE), "nat-unprotected");
}
