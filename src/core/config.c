/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoding, object by object: one table per kind says which members it has, how each is decoded and
 * where it goes.
 */
#include "core/config.h"

#include "core/config_impl.h"
#include "core/json_arena.h"
#include "core/json_pieces.h"
#include "core/locate.h"

#include <stdlib.h>
#include <string.h>

struct field {
	const char *name;
	size_t len; /* of the name */
	void (*decode)(struct decoder *d, const struct json_value *json, void *target);
	size_t offset;
};

/* --- objects --- */

#define FIELD(type, member, decode)                                                                \
	{                                                                                          \
#member, sizeof(#member) - 1, decode, offsetof(struct type, member)                \
	}
#define NAMED(type, name, member, decode)                                                          \
	{                                                                                          \
		name, sizeof(name) - 1, decode, offsetof(struct type, member)                      \
	}

static const struct field network_fields[] = {
	NAMED(network, "network_name", name, decode_docker_name),
	FIELD(network, subnet, decode_prefix),
	FIELD(network, gateway, decode_ip),
	FIELD(network, driver, decode_name),
	FIELD(network, internal, decode_bool),
	FIELD(network, mtu, decode_mtu),
	FIELD(network, labels, decode_pairs),
	FIELD(network, options, decode_pairs),
	FIELD(network, bridge_name, decode_ifname),
	FIELD(network, ip_range, decode_prefix),
	FIELD(network, isolation, decode_isolation),
};

static const struct field address_fields[] = {
	FIELD(address, ip, decode_ip),
	FIELD(address, container_name, decode_number),
	FIELD(address, selector, decode_number),
	FIELD(address, service_name, decode_number),
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
	NAMED(draft, "name", policy.name, decode_number),
	NAMED(draft, "iface", policy.iface, decode_ifnumber),
	NAMED(draft, "to_port", policy.to_port, decode_to_port),
	NAMED(draft, "masquerade", policy.masquerade, decode_masquerade),
	FIELD(draft, comment, decode_comment),
	FIELD(draft, log, decode_log),
};

struct kind {
	const struct field *fields;
	size_t n;
	const char *(*name)(size_t);
};

static const char *network_field(size_t i)
{
	return network_fields[i].name;
}

static const char *address_field(size_t i)
{
	return address_fields[i].name;
}

static const char *policy_field(size_t i)
{
	return policy_fields[i].name;
}

static const struct kind network_kind = {network_fields, COUNT_OF(network_fields), network_field};
static const struct kind address_kind = {address_fields, COUNT_OF(address_fields), address_field};
static const struct kind policy_kind = {policy_fields, COUNT_OF(policy_fields), policy_field};

/*
 * Objects of a kind have their members in one order, mostly: the search begins behind the field
 * that the last one was. Returns where the next begins.
 */
static size_t decode_member(struct decoder *d, const struct kind *kind, size_t from,
			    const struct json_member *member, void *record)
{
	const struct json_value *value = &member->value;

	enter_key(d, member->key);
	for (size_t n = 0, i = from; n < kind->n; n++, i = i + 1 < kind->n ? i + 1 : 0) {
		const struct field *field = &kind->fields[i];

		if (field->len != member->len || memcmp(field->name, member->key, field->len) != 0)
			continue;
		if (!json_is_null(value->json))
			field->decode(d, value, (char *)record + field->offset);
		leave(d);
		return i + 1 < kind->n ? i + 1 : 0;
	}
	d->odd = true;
	diag_at(d->diags, SEVERITY_WARNING, place_of_key_here(d), "unknown key%s",
		suggestion(d, member->key, kind->name, kind->n));
	leave(d);
	return from;
}

/* False, with a diagnostic, where it is no object. */
static bool decode_object(struct decoder *d, const struct kind *kind, const struct json_value *json,
			  void *record)
{
	struct json_members members = {.object = json};
	const struct json_member *member;
	size_t next = 0;

	if (json_value_type(json) != JSON_OBJECT) {
		wrong_type(d, json, "an object in braces");
		return false;
	}
	while ((member = json_members_next(&members)))
		next = decode_member(d, kind, next, member, record);
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

	n->key = take_key(d, key);
	if (!decode_object(d, &network_kind, json, n)) {
		config->networks.n--;
		return;
	}
	n->driver = n->driver ? n->driver : "bridge";
	n->bridge_name_declared = n->bridge_name != NULL;
	n->ip_range_declared = n->ip_range.ip.family != 0;
	if (n->name)
		return;
	n->name = n->key;
	if (!json_members_have(json, "network_name") && !has_control(key, strlen(key)) && *key &&
	    !is_docker_name(n->name))
		wrong(d, "the key is no name for Docker; write network_name, of letters, digits, "
			 "\"_\", \".\" and \"-\", a letter or digit first");
}

static void decode_address(struct decoder *d, struct config *config, const char *key,
			   const struct json_value *json)
{
	struct address *at = list_add(d->a, &config->addresses);

	at->key = take_key(d, key);
	at->network = NONE;
	if (!decode_object(d, &address_kind, json, at)) {
		config->addresses.n--;
		return;
	}
	if (at->ip.family || json_members_have(json, "ip"))
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

static void decode_policy(struct decoder *d, struct config *config, const struct json_value *json)
{
	struct draft draft = {.ports = {.items = d->ports.items, .cap = d->ports.cap}};
	struct policy *p = &draft.policy;
	uint32_t errors = d->diags->n_errors;

	/* one that is no object keeps its number, so that all others keep theirs */
	decode_object(d, &policy_kind, json, &draft);
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

static void decode_named(struct decoder *d, struct config *config, const struct json_value *json,
			 uint32_t most,
			 void (*decode)(struct decoder *, struct config *, const char *,
					const struct json_value *))
{
	struct json_members members = {.object = json};
	const struct json_member *member;

	if (json_value_type(json) != JSON_OBJECT) {
		wrong_type(d, json, "an object in braces");
		return;
	}
	if (json_members_count(json) > most) {
		wrong(d, "%zu of them; %u is the most", json_members_count(json), most);
		return;
	}
	while ((member = json_members_next(&members))) {
		enter_key(d, member->key);
		decode(d, config, member->key, &member->value);
		leave(d);
	}
}

static void decode_networks(struct decoder *d, const struct json_value *json, void *config)
{
	decode_named(d, config, json, CONFIG_MAX_NETWORKS, decode_network);
}

static void decode_ips(struct decoder *d, const struct json_value *json, void *config)
{
	decode_named(d, config, json, CONFIG_MAX_ADDRESSES, decode_address);
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
	{"networks", sizeof("networks") - 1, decode_networks, 0},
	{"ips", sizeof("ips") - 1, decode_ips, 0},
	{"policies", sizeof("policies") - 1, decode_policies, 0},
};

static const char *config_field(size_t i)
{
	return config_fields[i].name;
}

static const struct kind config_kind = {config_fields, COUNT_OF(config_fields), config_field};

/* --- the text --- */

/* One error for the whole file, at an offset in it. */
static bool refuse(struct diags *diags, const char *text, size_t len, size_t offset,
		   const char *format, ...) PRINTF_LIKE(5, 6);

static bool refuse(struct diags *diags, const char *text, size_t len, size_t offset,
		   const char *format, ...)
{
	struct position at = locate_offset(text, len, offset);
	struct diag *diag;
	va_list args;

	va_start(args, format);
	diag = diag_add(diags, SEVERITY_ERROR, "", "", "%s",
			arena_vprintf(diags->arena, format, args));
	va_end(args);
	diag->line = at.line;
	diag->column = at.column;
	return false;
}

/* What the JSON library would say less clearly, or not at all. */
static bool text_is_sound(struct diags *diags, const char *text, size_t len)
{
	const char *nul = memchr(text, '\0', len);

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return refuse(
			diags, text, len, 0,
			"the file begins with a byte order mark; save it as UTF-8 without one");
	if (strspn(text, " \t\r\n") == len)
		return refuse(diags, text, len, 0, "the file is empty; write at least {}");
	if (nul)
		return refuse(diags, text, len, (size_t)(nul - text),
			      "a NUL byte; save the file as UTF-8");
	return true;
}

/* Where it is not, that alone is said: what else is wrong in there is of no use to anybody. */
static bool is_flat(struct diags *diags, const char *text, size_t len)
{
	size_t deep = locate_nesting(text, len, CONFIG_MAX_NESTING);

	if (deep == SIZE_MAX)
		return true;
	*diags = (struct diags){.arena = diags->arena};
	return refuse(diags, text, len, deep, "nested deeper than %d", CONFIG_MAX_NESTING);
}

/* The library's position is the end of the token at which it stopped. */
static bool refuse_syntax(struct diags *diags, const char *text, size_t len,
			  const json_error_t *error)
{
	size_t end = error->position > 0 ? (size_t)error->position : 0;
	const char *near = strstr(error->text, " near ");
	size_t words = near ? (size_t)(near - error->text) : strlen(error->text);
	size_t at = locate_token(text, len, end);

	if (json_error_code(error) == json_error_invalid_utf8)
		return refuse(diags, text, len, end, "not UTF-8; save the file as UTF-8");
	if (at >= len || (near && !strcmp(near, " near end of file")))
		return refuse(diags, text, len, len, "not JSON: the file ends too early; %.*s",
			      (int)words, error->text);
	return refuse(diags, text, len, at, "not JSON: %.*s", (int)words, error->text);
}

enum { SOUND = JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES };

enum { TYPICAL = 64 }; /* policies, from which on the others are thought to be as long */

/*
 * Room for as many as there will be if the rest of the text is like what was read of it, where they
 * can stay. If it is not, they grow as all lists do.
 */
static void make_room(struct decoder *d, struct config *config, const struct json_pieces *p)
{
	uint32_t n = config->policies.n;
	double read = (double)(p->at - d->policies_at), all = (double)(p->len - d->policies_at);
	double growth = 1.0625 * all / read;
	double there_will_be = n * growth + 1;
	const struct policy *old = config->policies.items;

	if (there_will_be > CONFIG_MAX_POLICIES)
		there_will_be = CONFIG_MAX_POLICIES;
	list_reserve(d->a, &config->policies, (uint32_t)there_will_be);
	d->placed = memcpy(config->policies.items, old, n * sizeof(*old));
	buf_reserve(&d->comments, (size_t)((double)d->comments.len * growth));
}

/* Most of a large file: each is gone from memory before the next one comes. */
static void decode_policies_by_pieces(struct decoder *d, struct config *config,
				      struct json_pieces *p)
{
	struct json_value value;
	uint32_t i = 0;

	d->policies_at = p->at;
	enter_key(d, "policies");
	for (; json_pieces_more(p, ']', i == 0); i++) {
		p->broken |= i == CONFIG_MAX_POLICIES;
		if (!json_piece(&value, p))
			break;
		enter_index(d, i);
		if (config->policies.n == TYPICAL)
			make_room(d, config, p);
		decode_policy(d, config, &value);
		leave(d);
	}
	leave(d);
}

static bool is_among(const name_list *names, const char *name)
{
	list_each (other, names)
		if (!strcmp(*other, name))
			return true;
	return false;
}

/* False: there is something wrong with the text, and what was decoded of it does not count. */
static bool decode_by_pieces(struct decoder *d, struct config *config, struct arena *tree,
			     const char *text, size_t len)
{
	struct json_pieces p = {.text = text, .len = len, .flags = SOUND, .tree = tree};
	name_list keys = {0};
	size_t next = 0;

	if (!json_pieces_take(&p, '{'))
		return false;
	while (json_pieces_more(&p, '}', keys.n == 0)) {
		struct json_member member = {.key = json_pieces_key(&p, d->scratch)};

		if (!member.key || is_among(&keys, member.key))
			return false;
		*list_add(d->scratch, &keys) = member.key;
		if (!strcmp(member.key, "policies") && json_pieces_take(&p, '[')) {
			decode_policies_by_pieces(d, config, &p);
			continue;
		}
		member.len = strlen(member.key);
		if (!json_piece(&member.value, &p))
			return false;
		next = decode_member(d, &config_kind, next, &member, config);
	}
	return json_pieces_end(&p);
}

/* NULL with diagnostics. Where keys stand twice the last one counts, so that all else is checked.
 */
static json_t *parse(struct diags *diags, const char *text, size_t len)
{
	json_error_t error;
	json_t *root = json_loadb(text, len, SOUND, &error);

	if (!root && json_error_code(&error) == json_error_duplicate_key) {
		diags_add_duplicates(diags, text, len);
		root = json_loadb(text, len, JSON_ALLOW_NUL, &error);
	}
	if (!root && is_flat(diags, text, len))
		refuse_syntax(diags, text, len, &error);
	return root;
}

static bool decode_whole(struct decoder *d, struct config *config, const char *text, size_t len)
{
	const struct json_value root = json_value_of(parse(d->diags, text, len));

	if (root.json)
		decode_object(d, &config_kind, &root, config);
	return root.json;
}

static bool decode(struct decoder *d, struct config *config, const char *text, size_t len)
{
	AUTO_RELEASE struct arena tree = {0};
	const struct decoder fresh = *d;
	const struct config empty = *config;
	bool sound;

	json_arena_begin(&tree);
	sound = decode_by_pieces(d, config, &tree, text, len);
	if (!sound) {
		buf_free(&d->comments);
		*d = fresh;
		*d->diags = (struct diags){.arena = d->diags->arena};
		*config = empty;
		sound = decode_whole(d, config, text, len);
	}
	json_arena_end();
	return sound;
}

static void *keep(struct arena *a, const void *bytes, size_t size)
{
	return size ? memcpy(arena_alloc(a, size), bytes, size) : NULL;
}

#define keep_list(a, list)                                                                         \
	((list)->items = keep((a), (list)->items, (list)->n * sizeof(*(list)->items)),             \
	 (list)->cap = (list)->n)

/* For as long as the config is kept, in just as much memory as it takes. */
static void keep_policies(struct config *config, struct decoder *d)
{
	if (!d->names.n)
		list_add(d->scratch, &d->names);
	memcpy(&config->names, &d->names, sizeof(config->names));
	keep_list(d->a, &config->names);
	if (config->policies.items != d->placed)
		keep_list(d->a, &config->policies);
	keep_list(d->a, &config->ranges);
	config->comments = keep(d->a, d->comments.data, d->comments.len);
	buf_free(&d->comments);
}

bool config_decode(struct config *config, struct diags *diags, struct arena *a, const char *file,
		   const char *text, size_t len)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct decoder d = {.a = a, .scratch = &scratch, .diags = diags};

	*config = (struct config){.file = file, .digest = hash_large(text, len)};
	if (!text_is_sound(diags, text, len) || !decode(&d, config, text, len)) {
		buf_free(&d.comments);
		return false;
	}
	keep_policies(config, &d);
	if (d.odd && !is_flat(diags, text, len))
		return false;
	config_check(config, diags, a);
	if (diags->list.n)
		diags_locate(diags, text, len);
	return !diags->n_errors;
}
