/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decoding of networks, of addresses, and of the file that holds them. */
#include "core/config/fields.h"

#include <string.h>

enum { NETWORK_NAME, SUBNET };

static const struct field network_fields[] = {
	[NETWORK_NAME] = NAMED(network, "network_name", name, decode_docker_name, EVERYWHERE),
	[SUBNET] = FIELD(network, subnet, decode_prefix, EVERYWHERE),
	FIELD(network, gateway, decode_ip, EVERYWHERE),
	FIELD(network, driver, decode_name, EVERYWHERE),
	FIELD(network, internal, decode_bool, EVERYWHERE),
	FIELD(network, mtu, decode_mtu, IN_BRIDGE),
	FIELD(network, labels, decode_pairs, IN_BRIDGE),
	FIELD(network, options, decode_pairs, IN_BRIDGE),
	FIELD(network, bridge_name, decode_ifname, IN_BRIDGE),
	FIELD(network, ip_range, decode_prefix, IN_BRIDGE),
	FIELD(network, isolation, decode_isolation, IN_BRIDGE),
	LATER("subnet6"),
	LATER("gateway6"),
	LATER("ip_range6"),
	LATER("egress"),
};

enum { IP };

static const struct field address_fields[] = {
	[IP] = FIELD(address, ip, decode_ip, EVERYWHERE),
	FIELD(address, container_name, decode_number, EVERYWHERE),
	FIELD(address, selector, decode_number, EVERYWHERE),
	FIELD(address, service_name, decode_number, EVERYWHERE),
	LATER("ip6"),
};

static const struct kind network_kind = {network_fields, COUNT_OF(network_fields)};
static const struct kind address_kind = {address_fields, COUNT_OF(address_fields)};

/* A key of networks or ips: a name, so no control characters. */
static const char *take_key(struct decoder *d, const char *key)
{
	if (has_control(key, strlen(key)) || !*key)
		wrong_key(d, "%s",
			  *key ? "a control character in a name; remove it"
			       : "an empty name; write one");
	return keep_name(d, key, strlen(key))->text;
}

static void decode_network(struct decoder *d, struct config *config, const char *key,
			   const struct json_value *json)
{
	struct network *n = list_add(d->a, &config->networks);
	struct reading r = {.kind = &network_kind};
	uint32_t errors = d->diags->n_errors;

	n->key = take_key(d, key);
	if (!decode_object(d, &r, json, n)) {
		config->networks.n--;
		return;
	}
	if (!is_given(&r, SUBNET))
		wrong(d, "subnet is missing; write it as \"172.18.103.0/24\"");
	n->driver = n->driver ? n->driver : "bridge";
	if (d->diags->n_errors == errors)
		refuse_without_effect(
			d, &r, strcmp(n->driver, "bridge") == 0 ? IN_BRIDGE : IN_OTHER,
			"on a network that is no bridge: it is used as it stands; leave it out");
	n->bridge_name_declared = n->bridge_name != NULL;
	n->ip_range_declared = n->ip_range.ip.family != 0;
	if (n->name)
		return;
	n->name = n->key;
	if (!is_given(&r, NETWORK_NAME) && !has_control(key, strlen(key)) && *key &&
	    !is_docker_name(n->name))
		wrong_key(d,
			  "the key is no name for Docker; write network_name, of letters, digits, "
			  "\"_\", \".\" and \"-\", a letter or digit first");
}

static void decode_address(struct decoder *d, struct config *config, const char *key,
			   const struct json_value *json)
{
	struct address *at = list_add(d->a, &config->addresses);
	struct reading r = {.kind = &address_kind};

	at->key = take_key(d, key);
	at->network = NONE;
	if (!decode_object(d, &r, json, at)) {
		config->addresses.n--;
		return;
	}
	if (is_given(&r, IP))
		return;
	if (!ip_parse(&at->ip, key) || at->ip.family != 4) {
		at->ip = (struct ip){0};
		wrong_key(d, "ip is missing, and the key \"%s\" is no IPv4 address; write ip", key);
	}
}

const struct named_objects named_objects[] = {
	[SECTION_NETWORKS] = {"networks", CONFIG_MAX_NETWORKS, decode_network, &network_kind},
	[SECTION_IPS] = {"ips", CONFIG_MAX_ADDRESSES, decode_address, &address_kind},
};

static bool has_field_of(const struct json_value *object, const struct kind *kind)
{
	struct json_members members = {.object = object};
	const struct json_member *member;

	while ((member = json_members_next(&members)))
		for (size_t i = 0; i < kind->n; i++)
			if (kind->fields[i].len == member->len &&
			    !memcmp(kind->fields[i].name, member->key, member->len))
				return true;
	return false;
}

/* A key of the user. Warns if it looks like a declaration: a network "x-ray" would go in silence.
 */
static void pass_over(struct decoder *d, const struct kind *kind, const struct json_value *json)
{
	d->odd = true;
	if (json_value_type(json) == JSON_OBJECT && has_field_of(json, kind))
		diag_at(d->diags, SEVERITY_WARNING, place_of_key_here(d),
			"this declares nothing: keys that begin with \"_\" or \"x-\" are yours; "
			"write another key to declare it");
}

void decode_named_object(struct decoder *d, struct config *config, const char *key,
			 const struct json_value *json, const struct named_objects *all)
{
	enter_key(d, key);
	if (is_users_key(key, strlen(key)))
		pass_over(d, all->kind, json);
	else
		all->decode(d, config, key, json);
	leave(d);
}

static void decode_named(struct decoder *d, struct config *config, const struct json_value *json,
			 const struct named_objects *all)
{
	struct json_members members = {.object = json};
	const struct json_member *member;

	if (json_value_type(json) != JSON_OBJECT) {
		wrong_type(d, json, "an object in braces");
		return;
	}
	if (json_members_count(json) > all->most) {
		wrong(d, "%zu of them; %u is the most", json_members_count(json), all->most);
		return;
	}
	while ((member = json_members_next(&members)))
		decode_named_object(d, config, arena_strndup(d->scratch, member->key, member->len),
				    &member->value, all);
}

static void decode_networks(struct decoder *d, const struct json_value *json, void *config)
{
	decode_named(d, config, json, &named_objects[SECTION_NETWORKS]);
}

static void decode_ips(struct decoder *d, const struct json_value *json, void *config)
{
	decode_named(d, config, json, &named_objects[SECTION_IPS]);
}

static void decode_policies(struct decoder *d, const struct json_value *json, void *config)
{
	size_t n = json_array_size(json->json);

	if (json_value_type(json) != JSON_ARRAY) {
		wrong_type(d, json, "a list in brackets");
		return;
	}
	if (n > CONFIG_MAX_POLICIES) {
		wrong(d, "%zu policies; %d is the most", n, CONFIG_MAX_POLICIES);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct json_value policy = json_value_of(json_array_get(json->json, i));

		enter_index(d, (uint32_t)i);
		decode_policy(d, config, &policy);
		leave(d);
	}
}

static const struct field config_fields[] = {
	[SECTION_NETWORKS] = {"networks", sizeof("networks") - 1, EVERYWHERE, decode_networks, 0},
	[SECTION_IPS] = {"ips", sizeof("ips") - 1, EVERYWHERE, decode_ips, 0},
	[SECTION_POLICIES] = {"policies", sizeof("policies") - 1, EVERYWHERE, decode_policies, 0},
	LATER("tests"),
};

static const struct kind config_kind = {config_fields, COUNT_OF(config_fields)};

void decode_config_member(struct decoder *d, const struct json_member *member,
			  struct config *config)
{
	struct reading r = {.kind = &config_kind};

	decode_member(d, &r, member, config);
	d->sections |= r.given;
}

void decode_config(struct decoder *d, const struct json_value *json, struct config *config)
{
	struct reading r = {.kind = &config_kind};

	if (!decode_object(d, &r, json, config))
		r.given = UINT32_MAX; /* that it is no object is enough */
	d->sections |= r.given;
}

/* Whoever leaves a section out may have mistyped its name, and would lose what it holds. */
void refuse_missing_sections(struct decoder *d)
{
	static const char *const losses[] = {
		[SECTION_NETWORKS] = "{} removes every network that harborwall made",
		[SECTION_IPS] = "{} disconnects every container that harborwall connected",
		[SECTION_POLICIES] = "[] closes everything that policies opened",
	};

	for (size_t i = 0; i < COUNT_OF(losses); i++) {
		if (d->sections >> i & 1)
			continue;
		enter_key(d, config_fields[i].name);
		wrong(d, "the section is missing; write it with all that is to stand (an empty %s)",
		      losses[i]);
		leave(d);
	}
}
