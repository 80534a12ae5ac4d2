/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a Docker engine is asked for, what its errors say, and finding what it has. */
#include "core/engine/engine.h"

#include "base/buf.h"
#include "core/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {"name": "value"}, whose first member needs no comma in front. */
static void add_member(struct buf *body, bool *first, const char *name, const char *value)
{
	if (!*first)
		buf_puts(body, ",");
	*first = false;
	buf_json_string(body, name);
	buf_puts(body, ":");
	buf_json_string(body, value);
}

static bool has_pair(const struct pair *pairs, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(pairs[i].name, name))
			return true;
	return false;
}

static void encode_ipam(struct buf *body, const struct network *network)
{
	bool first = true;

	if (!network->subnet.ip.family)
		return;
	buf_puts(body, ",\"IPAM\":{\"Config\":[{");
	add_member(body, &first, "Subnet", prefix_format_full(network->subnet).s);
	if (network->gateway.family)
		add_member(body, &first, "Gateway", ip_format(network->gateway).s);
	if (network->ip_range.ip.family)
		add_member(body, &first, "IPRange", prefix_format_full(network->ip_range).s);
	buf_puts(body, "}]}");
}

/* The user's own options win over those that we would derive. */
static void encode_options(struct buf *body, const struct network *network)
{
	static const char bridge_name[] = "com.docker.network.bridge.name";
	static const char mtu[] = "com.docker.network.driver.mtu";
	const struct pair *options = network->options.items;
	uint32_t n = network->options.n;
	bool first = true;

	buf_puts(body, ",\"Options\":{");
	if (!strcmp(network->driver, "bridge") && network->bridge_name &&
	    !has_pair(options, n, bridge_name))
		add_member(body, &first, bridge_name, network->bridge_name);
	if (network->mtu && !has_pair(options, n, mtu)) {
		AUTO_BUF struct buf number = {0};

		buf_printf(&number, "%u", network->mtu);
		add_member(body, &first, mtu, buf_text(&number));
	}
	list_each (option, &network->options)
		add_member(body, &first, option->name, option->value);
	buf_puts(body, "}");
}

/* Our mark is ours: a label of that name in the file is left out. */
static void encode_labels(struct buf *body, const struct network *network)
{
	bool first = true;

	buf_puts(body, ",\"Labels\":{");
	add_member(body, &first, MANAGED_LABEL, "1");
	list_each (label, &network->labels)
		if (strcmp(label->name, MANAGED_LABEL) != 0)
			add_member(body, &first, label->name, label->value);
	buf_puts(body, "}");
}

void engine_encode_network(struct buf *body, const struct network *network, bool check_duplicate)
{
	bool first = true;

	buf_puts(body, "{");
	add_member(body, &first, "Name", network->name);
	add_member(body, &first, "Driver", network->driver);
	if (check_duplicate)
		buf_puts(body, ",\"CheckDuplicate\":true");
	if (network->internal)
		buf_puts(body, ",\"Internal\":true");
	encode_ipam(body, network);
	encode_options(body, network);
	encode_labels(body, network);
	buf_puts(body, "}");
}

void engine_encode_connect(struct buf *body, const char *container_id, struct ip ip)
{
	buf_puts(body, "{\"Container\":");
	buf_json_string(body, container_id);
	if (ip.family)
		buf_printf(body,
			   ",\"EndpointConfig\":{\"IPAMConfig\":{\"%s\":\"%s\"},"
			   "\"DriverOpts\":{\"" MANAGED_LABEL "\":\"1\"}}",
			   ip.family == 6 ? "IPv6Address" : "IPv4Address", ip_format(ip).s);
	buf_puts(body, "}");
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
