/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decoding of networks, of addresses, and of the file that holds them. */
#include "core/config/fields.h"

#include <string.h>

enum { NETWORK_NAME, SUBNET, GATEWAY, IP_RANGE, SUBNET6, GATEWAY6, IP_RANGE6, HOST };

static const struct field network_fields[] = {
	[NETWORK_NAME] = NAMED(network, "network_name", name, decode_docker_name, EVERYWHERE),
	[SUBNET] = FIELD(network, subnet, decode_prefix4, EVERYWHERE),
	[GATEWAY] = FIELD(network, gateway, decode_ip4, EVERYWHERE),
	[IP_RANGE] = FIELD(network, ip_range, decode_prefix4, IN_BRIDGE),
	[SUBNET6] = FIELD(network, subnet6, decode_prefix6, EVERYWHERE),
	[GATEWAY6] = FIELD(network, gateway6, decode_ip6, EVERYWHERE),
	[IP_RANGE6] = FIELD(network, ip_range6, decode_prefix6, IN_BRIDGE),
	[HOST] = FIELD(network, host, decode_bool, IN_BRIDGE),
	FIELD(network, driver, decode_name, EVERYWHERE),
	FIELD(network, internal, decode_bool, EVERYWHERE),
	FIELD(network, mtu, decode_mtu, IN_BRIDGE),
	FIELD(network, labels, decode_pairs, IN_BRIDGE),
	FIELD(network, options, decode_pairs, IN_BRIDGE),
	FIELD(network, bridge_name, decode_ifname, IN_BRIDGE),
	FIELD(network, isolation, decode_isolation, IN_BRIDGE),
	FIELD(network, egress, decode_egress, IN_BRIDGE),
};

/* An entry of ips: one address or two. */
struct entry {
	struct address address;
	struct ip ip6;
};

enum { IP, IP6 };

static const struct field address_fields[] = {
	[IP] = NAMED(entry, "ip", address.ip, decode_ip, EVERYWHERE),
	[IP6] = FIELD(entry, ip6, decode_ip6, EVERYWHERE),
	NAMED(entry, "container_name", address.container_name, decode_number, EVERYWHERE),
	NAMED(entry, "selector", address.selector, decode_number, EVERYWHERE),
	NAMED(entry, "service_name", address.service_name, decode_number, EVERYWHERE),
};

/* How many records to allocate at once; 0 if the section is too long and therefore refused. */
static uint32_t room_for(const struct decoder *d, uint32_t section, uint32_t most)
{
	uint32_t n = json_count(json_of(d), section);

	return n <= most ? n : 0;
}

static const struct kind network_kind = {network_fields, COUNT_OF(network_fields)};
static const struct kind address_kind = {address_fields, COUNT_OF(address_fields)};

/* A key of networks or ips: a name, so no control characters. */
static const char *take_key(struct decoder *d, uint32_t node)
{
	struct json_string key = string_of(d, node);

	if (has_control(key.text, key.len) || !key.len)
		wrong(d, node, "%s",
		      key.len ? "a control character in a name; remove it"
			      : "an empty name; write one");
	return keep_name(d, key.text, key.len)->text;
}

static void check_key_as_name(struct decoder *d, uint32_t node, const char *key)
{
	if (*key && !has_control(key, strlen(key)) && !is_docker_name(key))
		wrong_key(d, node,
			  "the key is not a name that Docker takes; write network_name, of "
			  "letters, digits, \"_\", \".\" and \"-\", a letter or digit first");
}

/* Of a network: what belongs to a subnet that it does not have. */
static void check_families(struct decoder *d, const struct reading *r, uint32_t node)
{
	static const unsigned fields[N_FAMILIES][3] = {{SUBNET, GATEWAY, IP_RANGE},
						       {SUBNET6, GATEWAY6, IP_RANGE6}};

	if (!is_given(r, SUBNET) && !is_given(r, SUBNET6))
		wrong(d, node,
		      "subnet is missing; write it as \"172.18.103.0/24\", or subnet6 as "
		      "\"fd00:103::/64\"");
	for (enum family f = 0; f < N_FAMILIES; f++)
		for (unsigned i = 1; i < 3 && !is_given(r, fields[f][0]); i++) {
			const char *name = network_fields[fields[f][i]].name;

			if (is_given(r, fields[f][i]) && is_given(r, fields[!f][0]))
				wrong_key(d, json_member(json_of(d), node, name),
					  "%s without %s; write that too, or leave this out", name,
					  network_fields[fields[f][0]].name);
		}
}

static void decode_network(struct decoder *d, struct config *config, uint32_t node)
{
	struct network *n = list_add(d->a, &config->networks);
	struct reading r = {.kind = &network_kind};
	uint32_t errors = d->diags->n_errors;

	*n = (struct network){.key = take_key(d, node_of_key(node)), .host = true};
	if (!decode_object(d, &r, node, n)) {
		config->networks.n--;
		return;
	}
	config->denies |= n->egress == EGRESS_DENY;
	config->audits |= n->egress == EGRESS_AUDIT;
	config->stricts |= n->isolation == ISOLATION_STRICT;
	config->watches |= n->isolation == ISOLATION_AUDIT;
	check_families(d, &r, node);
	n->driver = n->driver ? n->driver : "bridge";
	if (d->diags->n_errors == errors)
		refuse_without_effect(
			d, &r, node, strcmp(n->driver, "bridge") == 0 ? IN_BRIDGE : IN_OTHER,
			"on a network that is not a bridge: it is used as it stands; leave it out");
	if (d->diags->n_errors == errors && is_given(&r, HOST) &&
	    n->isolation != ISOLATION_STRICT && n->isolation != ISOLATION_AUDIT)
		wrong_key(
			d, json_member(json_of(d), node, "host"),
			"no effect without isolation \"strict\"; write that too, or leave it out");
	n->bridge_name_declared = n->bridge_name != NULL;
	for (enum family f = 0; f < N_FAMILIES; f++)
		n->ip_range_declared[f] = n->ipam[f].ip_range.ip.family != 0;
	if (n->name)
		return;
	n->name = n->key;
	if (!is_given(&r, NETWORK_NAME))
		check_key_as_name(d, node, n->key);
}

/* The key is the address, unless the entry says otherwise. */
static void take_key_as_ip(struct decoder *d, struct entry *entry, uint32_t node, bool has_ip6)
{
	struct ip *ip = &entry->address.ip;
	const char *key = entry->address.key;

	if (!ip_parse(ip, key) && !has_ip6)
		wrong_key(d, node, "ip is missing, and the key \"%s\" is not an address; write ip",
			  key);
}

static void decode_address(struct decoder *d, struct config *config, uint32_t node)
{
	struct entry entry = {.address = {.key = take_key(d, node_of_key(node)), .network = NONE}};
	struct address second;
	struct reading r = {.kind = &address_kind};

	if (!decode_object(d, &r, node, &entry))
		return;
	if (!is_given(&r, IP))
		take_key_as_ip(d, &entry, node, is_given(&r, IP6));
	if (entry.ip6.family && entry.address.ip.family == 6) {
		wrong_key(d, json_member(json_of(d), node, "ip6"),
			  "%s is an IPv6 address already; leave ip6 out, or write an IPv4 address "
			  "as ip",
			  ip_format(entry.address.ip).s);
		entry.ip6 = (struct ip){0};
	}
	second = entry.address;
	second.ip = entry.ip6;
	if (entry.address.ip.family || !entry.ip6.family)
		*list_add(d->a, &config->addresses) = entry.address;
	if (entry.ip6.family)
		*list_add(d->a, &config->addresses) = second;
}

static bool has_field_of(struct decoder *d, uint32_t object, const struct kind *kind)
{
	for (uint32_t i = 0; i < kind->n; i++)
		if (json_member(json_of(d), object, kind->fields[i].name))
			return true;
	return false;
}

/* A key of the user. Warns if it looks like a declaration: a network "x-ray" would go in silence.
 */
static void pass_over_users(struct decoder *d, const struct kind *kind, uint32_t node)
{
	if (has_field_of(d, node, kind))
		diag_at(d->diags, SEVERITY_WARNING, d->text, node_of_key(node),
			"this declares nothing: keys that begin with \"_\" or \"x-\" are yours; "
			"write another key to declare it");
	pass_over(d, node);
}

/* --- the file --- */

/* By section; policies are a list and have no keys. */
static const struct named_objects {
	uint32_t most;
	void (*decode)(struct decoder *d, struct config *config, uint32_t node);
	const struct kind *kind;
} named_objects[] = {
	[SECTION_NETWORKS] = {CONFIG_MAX_NETWORKS, decode_network, &network_kind},
	[SECTION_IPS] = {CONFIG_MAX_ADDRESSES, decode_address, &address_kind},
};

static uint32_t n_declared(const struct config *config, enum section section)
{
	return section == SECTION_NETWORKS ? config->networks.n : config->addresses.n;
}

/* Decoded as one declaration; the config then has 0, 1 or 2 records of it. */
static void decode_named_object(struct decoder *d, struct config *config, enum section section,
				uint32_t node)
{
	const struct named_objects *all = &named_objects[section];

	*list_add(&d->text->arena, &d->text->declared[section]) = node;
	if (is_users_key(string_of(d, node_of_key(node))))
		pass_over_users(d, all->kind, node);
	else
		all->decode(d, config, node);
	while (d->text->declared[section].n < n_declared(config, section))
		*list_add(&d->text->arena, &d->text->declared[section]) = node;
	d->text->declared[section].n = n_declared(config, section);
}

static void decode_named(struct decoder *d, struct config *config, enum section section,
			 uint32_t node)
{
	uint32_t n = json_count(json_of(d), node), most = named_objects[section].most;

	if (json_type_of(json_of(d), node) != JSON_TYPE_OBJECT) {
		wrong_type(d, node, "an object");
		return;
	}
	if (n > most) {
		wrong(d, node, "%u of them; %u is the most", n, most);
		return;
	}
	list_reserve(&d->text->arena, &d->text->declared[section], n);
	refuse_doubled(d, node);
	each_member (key, d, node)
		decode_named_object(d, config, section, key + 1);
}

static void decode_networks(struct decoder *d, uint32_t node, void *target)
{
	struct config *config = target;

	list_reserve(d->a, &config->networks, room_for(d, node, CONFIG_MAX_NETWORKS));
	decode_named(d, config, SECTION_NETWORKS, node);
}

static void decode_ips(struct decoder *d, uint32_t node, void *target)
{
	struct config *config = target;

	list_reserve(d->a, &config->addresses, room_for(d, node, CONFIG_MAX_ADDRESSES));
	decode_named(d, config, SECTION_IPS, node);
}

/* A section that is a list, of no more than `most`. */
static void decode_list(struct decoder *d, struct config *config, enum section section,
			uint32_t most, uint32_t node,
			void (*decode)(struct decoder *d, struct config *config, uint32_t node))
{
	uint32_t n = json_count(json_of(d), node);

	if (json_type_of(json_of(d), node) != JSON_TYPE_LIST) {
		wrong_type(d, node, "a list");
		return;
	}
	if (n > most) {
		wrong(d, node, "%u %s; %u is the most", n,
		      section == SECTION_POLICIES ? "policies" : "tests", most);
		return;
	}
	list_reserve(&d->text->arena, &d->text->declared[section], n);
	json_each (item, json_of(d), node) {
		*list_add(&d->text->arena, &d->text->declared[section]) = item;
		decode(d, config, item);
	}
}

static void decode_policies(struct decoder *d, uint32_t node, void *target)
{
	struct config *config = target;

	list_reserve(d->a, &config->policies, room_for(d, node, CONFIG_MAX_POLICIES));
	decode_list(d, config, SECTION_POLICIES, CONFIG_MAX_POLICIES, node, decode_policy);
}

static void decode_tests(struct decoder *d, uint32_t node, void *target)
{
	decode_list(d, target, SECTION_TESTS, CONFIG_MAX_TESTS, node, decode_test);
}

static const struct field config_fields[] = {
	[SECTION_NETWORKS] = {"networks", sizeof("networks") - 1, EVERYWHERE, decode_networks, 0},
	[SECTION_IPS] = {"ips", sizeof("ips") - 1, EVERYWHERE, decode_ips, 0},
	[SECTION_POLICIES] = {"policies", sizeof("policies") - 1, EVERYWHERE, decode_policies, 0},
	[SECTION_TESTS] = {"tests", sizeof("tests") - 1, EVERYWHERE, decode_tests, 0},
};

static const struct kind config_kind = {config_fields, COUNT_OF(config_fields)};

void decode_config(struct decoder *d, struct config *config)
{
	struct reading r = {.kind = &config_kind};

	if (!decode_object(d, &r, JSON_ROOT, config))
		r.given = UINT32_MAX; /* the diagnostic that it is no object is enough */
	d->sections = r.given;
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
		if (!(d->sections >> i & 1))
			diag_add(d->diags, SEVERITY_ERROR, json_of(d)->nodes[JSON_ROOT].at,
				 config_fields[i].name,
				 "the section is missing; write it with all that is to stand (an "
				 "empty %s)",
				 losses[i]);
	}
}
