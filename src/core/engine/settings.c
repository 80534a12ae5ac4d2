/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an endpoint or a network was made with, kept as the engine tells it, so that it can be made
 * again with all of it. Both are JSON objects in the words of the request that makes one.
 */
#include "core/engine/engine.h"
#include "core/engine/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Null, "", 0, [] and {} say nothing. */
static bool says_something(const json_t *value)
{
	if (json_is_string(value))
		return json_string_length(value);
	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_array(value) || json_is_object(value))
		return json_array_size(value) || json_object_size(value);
	return json_is_true(value);
}

static const char *dump(struct arena *a, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	const char *kept = arena_strdup(a, text ? text : "{}");

	free(text);
	json_decref(object);
	return kept;
}

enum { SHORT_ID = 12 };

/*
 * Engines before API 1.45 give every endpoint the container's short id as an alias and show it
 * among those that were asked for; sent back it would be one of them for good.
 */
static json_t *own_aliases(const json_t *aliases, const char *id)
{
	json_t *own = json_array();
	const json_t *alias;
	size_t i;

	json_array_foreach (aliases, i, alias) {
		const char *text = json_string_value(alias);

		if (text && (strlen(text) != SHORT_ID || strncmp(text, id, SHORT_ID) != 0))
			json_array_append_new(own, json_string(text));
	}
	return own;
}

bool engine_mac_is_derived(const char *mac, struct ip ip)
{
	char derived[18];

	snprintf(derived, sizeof(derived), "02:42:%02x:%02x:%02x:%02x", ip.bytes[0], ip.bytes[1],
		 ip.bytes[2], ip.bytes[3]);
	return ip.family == 4 && !strcasecmp(mac, derived);
}

/* The network that the container was started on: --mac-address was for it. */
static bool is_first_network(const struct engine_container *c, const char *network)
{
	const char *mode = c->network_mode ? c->network_mode : "";

	return !strcmp(mode, network) || (!strcmp(mode, "default") && !strcmp(network, "bridge"));
}

const char *engine_asked_mac(const struct engine_container *c, const struct engine_endpoint *e,
			     uint32_t major)
{
	enum { FIRST_WITH_RANDOM = 28 }; /* before, one that nobody asked for follows the address */
	const char *mac = e->mac ? e->mac : "";

	if (c->mac && *c->mac && is_first_network(c, e->network))
		return c->mac;
	return *mac && major < FIRST_WITH_RANDOM && !engine_mac_is_derived(mac, e->ip) ? mac : "";
}

const char *settings_of_endpoint(struct arena *a, const json_t *endpoint, const char *network,
				 const struct engine_container *c)
{
	static const char *const members[] = {"IPAMConfig", "Links", "DriverOpts", "GwPriority"};
	const char *mac = json_string_value(json_object_get(endpoint, "MacAddress"));
	const char *address = json_string_value(json_object_get(endpoint, "IPAddress"));
	json_t *settings = json_object();
	json_t *aliases = own_aliases(json_object_get(endpoint, "Aliases"), c->id);
	struct ip ip = {0};

	for (size_t i = 0; i < COUNT_OF(members); i++) {
		json_t *value = json_object_get(endpoint, members[i]);

		if (says_something(value))
			json_object_set(settings, members[i], value);
	}
	if (json_array_size(aliases))
		json_object_set(settings, "Aliases", aliases);
	json_decref(aliases);
	if (c->mac && *c->mac && is_first_network(c, network))
		mac = c->mac; /* shown also while the container is stopped */
	/* one that follows from the old address would be wrong beside the new one */
	if (mac && *mac && (!address || !ip_parse(&ip, address) || !engine_mac_is_derived(mac, ip)))
		json_object_set_new(settings, "MacAddress", json_string(mac));
	return dump(a, settings);
}

bool engine_take_settings(struct kept_endpoint *kept, const char *text)
{
	json_error_t where;
	json_t *settings = json_loads(text, 0, &where);
	const json_t *config = json_object_get(settings, "IPAMConfig");
	const char *ip = json_string_value(json_object_get(config, "IPv4Address"));
	const char *mark = json_string_value(
		json_object_get(json_object_get(settings, "DriverOpts"), MANAGED_LABEL));
	bool ok = json_is_object(settings);

	kept->settings = text;
	if (!ip || !ip_parse(&kept->ip, ip))
		kept->ip = (struct ip){0};
	kept->managed = mark && !strcmp(mark, "1");
	json_decref(settings);
	return ok;
}

bool engine_decode_network_settings(const char **settings, struct arena *a, const char *json,
				    size_t len, struct error *err)
{
	static const char *const members[] = {"Driver",	    "EnableIPv4", "EnableIPv6", "Internal",
					      "Attachable", "IPAM",	  "Options",	"Labels"};
	json_error_t where;
	json_t *root = json_loadb(json, len, 0, &where), *kept;
	const json_t *from = json_object_get(json_object_get(root, "ConfigFrom"), "Network");
	bool plain = json_is_object(root) && !says_something(from);

	if (!plain) {
		json_decref(root);
		return error_set(
			err, -1,
			root ? "the network takes its settings from another one, and can't "
			       "be made again with them"
			     : "the engine's answer is not a JSON object");
	}
	kept = json_object();
	for (size_t i = 0; i < COUNT_OF(members); i++) {
		json_t *value = json_object_get(root, members[i]);

		if (value && !json_is_null(value))
			json_object_set(kept, members[i], value);
	}
	json_object_del(json_object_get(kept, "IPAM"), "Status"); /* of answers, from API 1.52 on */
	json_decref(root);
	*settings = dump(a, kept);
	return true;
}
