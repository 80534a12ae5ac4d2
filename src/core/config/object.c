/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoding, object by object: one table per kind says which members it has, how each is decoded and
 * where it goes.
 */
#include "core/config/impl.h"

#include <string.h>

struct field {
	const char *name; /* first: suggestion */
	size_t len;	  /* of the name */
	void (*decode)(struct decoder *d, const struct json_value *json, void *target);
	size_t offset;
};

#define FIELD(type, member, decode)                                                                \
	{                                                                                          \
#member, sizeof(#member) - 1, decode, offsetof(struct type, member)                \
	}
#define NAMED(type, name, member, decode)                                                          \
	{                                                                                          \
		name, sizeof(name) - 1, decode, offsetof(struct type, member)                      \
	}
/* Part of the format, and not built yet. */
#define LATER(name)                                                                                \
	{                                                                                          \
		name, sizeof(name) - 1, decode_later, 0                                            \
	}

static void decode_later(struct decoder *d, const struct json_value *json, void *target)
{
	(void)json;
	(void)target;
	d->odd = true; /* who knows how deep */
	wrong_key(d, "this comes in a later version; leave it out");
}

enum { NETWORK_NAME, SUBNET };

static const struct field network_fields[] = {
	[NETWORK_NAME] = NAMED(network, "network_name", name, decode_docker_name),
	[SUBNET] = FIELD(network, subnet, decode_prefix),
	FIELD(network, gateway, decode_ip),
	FIELD(network, driver, decode_name),
	FIELD(network, internal, decode_bool),
	FIELD(network, mtu, decode_mtu),
	FIELD(network, labels, decode_pairs),
	FIELD(network, options, decode_pairs),
	FIELD(network, bridge_name, decode_ifname),
	FIELD(network, ip_range, decode_prefix),
	FIELD(network, isolation, decode_isolation),
	LATER("subnet6"),
	LATER("gateway6"),
	LATER("ip_range6"),
	LATER("egress"),
};

enum { IP };

static const struct field address_fields[] = {
	[IP] = FIELD(address, ip, decode_ip),
	FIELD(address, container_name, decode_number),
	FIELD(address, selector, decode_number),
	FIELD(address, service_name, decode_number),
	LATER("ip6"),
};

static const struct field policy_fields[] = {
	FIELD(draft, service_name, decode_subject),
	FIELD(draft, container_name, decode_subject),
	FIELD(draft, selector, decode_subject),
	NAMED(draft, "from", policy.from, decode_number),
	NAMED(draft, "nat", policy.nat, decode_nat),
	NAMED(draft, "to", policy.to, decode_target),
	NAMED(draft, "port", ports, decode_ports),
	NAMED(draft, "proto", policy.protos, decode_protos),
	FIELD(draft, comment, decode_comment),
	NAMED(draft, "name", policy.name, decode_number),
	NAMED(draft, "iface", policy.iface, decode_ifnumber),
	NAMED(draft, "to_port", policy.to_port, decode_to_port),
	NAMED(draft, "masquerade", policy.masquerade, decode_masquerade),
	FIELD(draft, log, decode_log),
};

struct kind {
	const struct field *fields;
	size_t n;
};

static const struct kind network_kind = {network_fields, COUNT_OF(network_fields)};
static const struct kind address_kind = {address_fields, COUNT_OF(address_fields)};
static const struct kind policy_kind = {policy_fields, COUNT_OF(policy_fields)};

/* These keys are never ours, wherever they stand: comments, notes of other tools. */
static bool is_users_key(const char *key, size_t len)
{
	static const char schema[] = "$schema";

	return (len && key[0] == '_') || (len > 1 && key[0] == 'x' && key[1] == '-') ||
	       (len == sizeof(schema) - 1 && !memcmp(key, schema, len));
}

/* An object, as far as it is read. */
struct reading {
	const struct kind *kind;
	size_t next;	/* the field that is expected next */
	uint32_t given; /* which fields were there, misspelt ones too: a bit for each */
};

static bool is_given(const struct reading *r, unsigned field)
{
	return r->given >> field & 1;
}

static void refuse_key(struct decoder *d, struct reading *r, const char *key)
{
	const struct field *fields = r->kind->fields;
	uint32_t near = nearest(key, fields, sizeof(*fields), r->kind->n);

	if (near == NONE) {
		wrong_key(d, "unknown key; remove it, or begin it with \"x-\" if it is a note of "
			     "yours");
		return;
	}
	r->given |= 1u << near;
	wrong_key(d, "unknown key (did you mean \"%s\"?)", fields[near].name);
}

/* A key that is no field's. */
static void take_other_key(struct decoder *d, struct reading *r, const struct json_member *member)
{
	const char *key;

	d->odd = true;
	if (is_users_key(member->key, member->len))
		return;
	key = arena_strndup(d->scratch, member->key, member->len);
	enter_key(d, key);
	refuse_key(d, r, key);
	leave(d);
}

/* Objects of a kind have their members in one order, mostly: the search begins where it left off.
 */
static void decode_member(struct decoder *d, struct reading *r, const struct json_member *member,
			  void *record)
{
	const struct kind *kind = r->kind;

	for (size_t n = 0, i = r->next; n < kind->n; n++, i = i + 1 < kind->n ? i + 1 : 0) {
		const struct field *field = &kind->fields[i];

		if (field->len != member->len || memcmp(field->name, member->key, field->len) != 0)
			continue;
		r->next = i + 1 < kind->n ? i + 1 : 0;
		r->given |= 1u << i;
		enter_key(d, field->name);
		field->decode(d, &member->value, (char *)record + field->offset);
		leave(d);
		return;
	}
	take_other_key(d, r, member);
}

/* False, with a diagnostic, where it is no object. */
static bool decode_object(struct decoder *d, struct reading *r, const struct json_value *json,
			  void *record)
{
	struct json_members members = {.object = json};
	const struct json_member *member;

	if (json_value_type(json) != JSON_OBJECT) {
		wrong_type(d, json, "an object in braces");
		return false;
	}
	while ((member = json_members_next(&members)))
		decode_member(d, r, member, record);
	return true;
}

/* A key of networks or ips: a name, so no control characters. */
static const char *take_key(struct decoder *d, const char *key)
{
	if (has_control(key, strlen(key)) || !*key)
		diag_at(d->diags, SEVERITY_ERROR, place_of_key_here(d), "%s",
			*key ? "a control character in a name; remove it"
			     : "an empty name; write one");
	return keep_name(d, key, strlen(key))->text;
}

static void decode_network(struct decoder *d, struct config *config, const char *key,
			   const struct json_value *json)
{
	struct network *n = list_add(d->a, &config->networks);
	struct reading r = {.kind = &network_kind};

	n->key = take_key(d, key);
	if (!decode_object(d, &r, json, n)) {
		config->networks.n--;
		return;
	}
	if (!is_given(&r, SUBNET))
		wrong(d, "subnet is missing; write it as \"172.18.103.0/24\"");
	n->driver = n->driver ? n->driver : "bridge";
	n->bridge_name_declared = n->bridge_name != NULL;
	n->ip_range_declared = n->ip_range.ip.family != 0;
	if (n->name)
		return;
	n->name = n->key;
	if (!is_given(&r, NETWORK_NAME) && !has_control(key, strlen(key)) && *key &&
	    !is_docker_name(n->name))
		wrong(d, "the key is no name for Docker; write network_name, of letters, digits, "
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
		wrong(d, "ip is missing, and the key \"%s\" is no IPv4 address", key);
	}
}

const char *const subject_fields[] = {
	[SUBJECT_NONE] = "service_name",
	[SUBJECT_SERVICE] = "service_name",
	[SUBJECT_CONTAINER] = "container_name",
	[SUBJECT_SELECTOR] = "selector",
};

static void put_subject(struct decoder *d, struct policy *p, enum subject kind,
			const struct json_value *name)
{
	p->kind = kind & 3;
	p->subject = keep_name(d, name->text, name->len)->number;
}

static void put_ports(struct decoder *d, struct config *config, struct policy *p,
		      const struct draft *draft)
{
	p->n_ports = (uint16_t)draft->ports.n;
	if (p->n_ports == 1) {
		p->ports.port = draft->ports.items[0];
		return;
	}
	p->ports.first = config->ranges.n;
	list_each (range, &draft->ports)
		*list_add(d->scratch, &config->ranges) = *range;
}

static void put_comment(struct decoder *d, struct policy *p, const char *comment)
{
	if (!d->comments.len)
		buf_add(&d->comments, "", 1); /* 0 is no comment */
	p->comment = (uint32_t)d->comments.len;
	buf_add(&d->comments, comment, strlen(comment) + 1);
}

void decode_policy(struct decoder *d, struct config *config, const struct json_value *json)
{
	struct draft draft = {.ports = {.items = d->ports.items, .cap = d->ports.cap}};
	struct policy *p = &draft.policy;
	uint32_t errors = d->diags->n_errors;
	struct reading r = {.kind = &policy_kind};

	/* one that is no object keeps its number, so that all others keep theirs */
	decode_object(d, &r, json, &draft);
	if (draft.selector.text)
		put_subject(d, p, SUBJECT_SELECTOR, &draft.selector);
	else if (draft.container_name.text)
		put_subject(d, p, SUBJECT_CONTAINER, &draft.container_name);
	else if (draft.service_name.text)
		put_subject(d, p, SUBJECT_SERVICE, &draft.service_name);
	put_ports(d, config, p, &draft);
	d->ports = draft.ports;
	if (draft.comment)
		put_comment(d, p, draft.comment);
	p->protos = p->protos ? p->protos : PROTO_TCP;
	p->broken = d->diags->n_errors > errors;
	*list_add(d->scratch, &config->policies) = *p;
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

/* The user's own, but it may be a network whose name begins so: that it goes is said. */
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
	[SECTION_NETWORKS] = {"networks", sizeof("networks") - 1, decode_networks, 0},
	[SECTION_IPS] = {"ips", sizeof("ips") - 1, decode_ips, 0},
	[SECTION_POLICIES] = {"policies", sizeof("policies") - 1, decode_policies, 0},
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
