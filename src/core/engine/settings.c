/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the settings of an endpoint or network, so that it can be created again with all of them.
 * Both are JSON objects in the form of a create request.
 */
#include "core/engine/settings.h"

#include "core/json/builder.h"

#include <stdio.h>
#include <string.h>

/* Null, false, "", 0, [] and {} mean nothing. */
static bool says_something(const struct json *json, uint32_t node)
{
	int64_t number;

	switch (json_type_of(json, node)) {
	case JSON_TYPE_NULL:
	case JSON_TYPE_FALSE:
		return false;
	case JSON_TYPE_TRUE:
		return true;
	case JSON_TYPE_NUMBER:
		return !json_integer_of(&number, json, node) || number;
	case JSON_TYPE_STRING:
		return !json_string_is(json, node, "", 0);
	case JSON_TYPE_LIST:
	case JSON_TYPE_OBJECT:
		return json_behind(json, node) > node + 1;
	}
	return false;
}

static const char *finish(struct arena *a, const struct json_builder *draft)
{
	AUTO_BUF struct buf text = {0};

	json_builder_write(&text, draft);
	return arena_strdup(a, buf_text(&text));
}

/* Copies the members that pass the filter. */
static void take_members(struct json_builder *draft, const struct json *json, uint32_t object,
			 const char *const *names, size_t n,
			 bool (*passes)(const struct json *json, uint32_t node))
{
	for (size_t i = 0; i < n; i++) {
		uint32_t node = json_member(json, object, names[i]);

		if (node != JSON_ROOT && passes(json, node))
			json_builder_set(draft, names[i], json_text(draft->a, json, node));
	}
}

enum { SHORT_ID = 12 };

/*
 * Engines before API 1.45 add the container's short id to each endpoint's aliases. Sent back, it
 * would become permanent.
 */
static void take_aliases(struct json_builder *draft, const struct json *json, uint32_t object,
			 const char *id)
{
	uint32_t list = json_member(json, object, "Aliases");
	AUTO_BUF struct buf own = {0};

	if (list == JSON_ROOT || json_type_of(json, list) != JSON_TYPE_LIST)
		return;
	json_each (alias, json, list) {
		if (json_type_of(json, alias) != JSON_TYPE_STRING ||
		    (strlen(id) >= SHORT_ID && json_string_is(json, alias, id, SHORT_ID)))
			continue;
		buf_puts(&own, own.len ? "," : "[");
		json_write(&own, json, alias);
	}
	if (!own.len)
		return;
	buf_puts(&own, "]");
	json_builder_set(draft, "Aliases", buf_text(&own));
}

/* As Docker before 28 derives it: 02:42 and the four bytes of the address. */
static bool engine_mac_is_derived(const char *mac, struct ip ip)
{
	char derived[18];

	snprintf(derived, sizeof(derived), "02:42:%02x:%02x:%02x:%02x", ip.bytes[0], ip.bytes[1],
		 ip.bytes[2], ip.bytes[3]);
	return ip.family == 4 && !strcasecmp(mac, derived);
}

/* The network that the container was started on, which --mac-address applies to. */
static bool is_first_network(const struct engine_container *c, const char *network)
{
	const char *mode = c->network_mode ? c->network_mode : "";

	return !strcmp(mode, network) || (!strcmp(mode, "default") && !strcmp(network, "bridge"));
}

const char *engine_asked_mac(const struct engine_container *c, const struct engine_endpoint *e,
			     uint32_t major)
{
	/* before 28, a MAC address that is not configured follows from the IP address */
	enum { FIRST_WITH_RANDOM = 28 };
	const char *mac = e->mac ? e->mac : "";

	if (c->mac && *c->mac && is_first_network(c, e->network))
		return c->mac;
	return *mac && major < FIRST_WITH_RANDOM && !engine_mac_is_derived(mac, e->ip) ? mac : "";
}

const char *settings_of_endpoint(const struct answer *answer, uint32_t object,
				 const struct engine_endpoint *endpoint,
				 const struct engine_container *c)
{
	static const char *const members[] = {"IPAMConfig", "Links", "DriverOpts", "GwPriority"};
	AUTO_RELEASE struct arena a = {0};
	struct json_builder settings = {.a = &a};
	const char *mac = endpoint->mac ? endpoint->mac : "";

	take_members(&settings, &answer->json, object, members, COUNT_OF(members), says_something);
	take_aliases(&settings, &answer->json, object, c->id);
	if (c->mac && *c->mac && is_first_network(c, endpoint->network))
		mac = c->mac; /* shown even while the container is stopped */
	/* a MAC address derived from the old IP address would be wrong for the new one */
	if (*mac && !engine_mac_is_derived(mac, endpoint->ip))
		json_builder_set_string(&settings, "MacAddress", mac);
	return finish(answer->a, &settings);
}

bool engine_take_settings(struct kept_endpoint *kept, const char *text)
{
	static const struct answer_field fields[] = {
		{"IPAMConfig.IPv4Address", ANSWER_ADDRESS, offsetof(struct kept_endpoint, ip)},
		{"IPAMConfig.IPv6Address", ANSWER_ADDRESS, offsetof(struct kept_endpoint, ip6)},
	};
	AUTO_ANSWER struct answer answer;
	struct error err = {0};
	uint32_t options, mark;

	kept->settings = text;
	kept->ip = kept->ip6 = (struct ip){0};
	if (!answer_parse(&answer, NULL, text, strlen(text), JSON_TYPE_OBJECT, &err) ||
	    !ANSWER_DECODE(kept, &answer, JSON_ROOT, fields) ||
	    !answer_find(&options, &answer, JSON_ROOT, "DriverOpts", JSON_TYPE_OBJECT))
		return false;
	mark = options == JSON_ROOT ? JSON_ROOT : json_member(&answer.json, options, MANAGED_LABEL);
	kept->managed = mark != JSON_ROOT && json_string_is(&answer.json, mark, "1", 1);
	return true;
}

static bool is_there(const struct json *json, uint32_t node)
{
	return json_type_of(json, node) != JSON_TYPE_NULL;
}

bool engine_decode_network_settings(const char **settings, struct arena *a, const char *json,
				    size_t len, struct error *err)
{
	static const char *const members[] = {"Driver",	    "EnableIPv4", "EnableIPv6", "Internal",
					      "Attachable", "IPAM",	  "Options",	"Labels"};
	static const struct answer_field from_field[] = {{"ConfigFrom.Network", ANSWER_TEXT, 0}};
	AUTO_ANSWER struct answer answer;
	struct json_builder kept = {.a = &answer.tree}, ipam;
	const char *from = "", *was;

	if (!answer_parse(&answer, a, json, len, JSON_TYPE_OBJECT, err) ||
	    !ANSWER_DECODE(&from, &answer, JSON_ROOT, from_field))
		return false;
	if (*from)
		return error_set(err, -1,
				 "the network takes its settings from another one, and can't be "
				 "re-created with them");
	take_members(&kept, &answer.json, JSON_ROOT, members, COUNT_OF(members), is_there);
	was = json_builder_get(&kept, "IPAM");
	if (was) {
		ipam = json_builder_of(kept.a, was);
		json_builder_remove(&ipam, "Status"); /* only in answers, since API 1.52 */
		json_builder_set_object(&kept, "IPAM", &ipam);
	}
	*settings = finish(a, &kept);
	return true;
}
