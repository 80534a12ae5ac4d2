/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decodes what a Docker engine answers. Tables say which member goes where; a member of the wrong
 * type is an error that names its path, an absent or null one is zero. Request bodies are made in
 * engine_encode.c.
 */
#include "core/engine.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { API_OLDEST = 40, API_NEWEST = 52 }; /* minor of 1.x: what we were tested with */

enum kind {
	KIND_TEXT,    /* const char *, "" if absent */
	KIND_FLAG,    /* bool */
	KIND_PID,     /* int */
	KIND_BITS,    /* uint8_t, a prefix length */
	KIND_ADDRESS, /* struct ip */
	KIND_PREFIX,  /* struct prefix, canonical */
};

struct field {
	const char *path; /* members on the way, "State.Pid" */
	enum kind kind;
	size_t offset;
};

static const struct field version_fields[] = {
	{"Version", KIND_TEXT, offsetof(struct engine, version)},
	{"ApiVersion", KIND_TEXT, offsetof(struct engine, api_max)},
	{"MinAPIVersion", KIND_TEXT, offsetof(struct engine, api_min)},
};

static const struct field info_fields[] = {
	{"ID", KIND_TEXT, offsetof(struct engine, id)},
};

static const struct field network_fields[] = {
	{"Id", KIND_TEXT, offsetof(struct engine_network, id)},
	{"Name", KIND_TEXT, offsetof(struct engine_network, name)},
	{"Driver", KIND_TEXT, offsetof(struct engine_network, driver)},
	{"Internal", KIND_FLAG, offsetof(struct engine_network, internal)},
};

struct pool {
	struct prefix subnet, ip_range;
	struct ip gateway;
};

static const struct field pool_fields[] = {
	{"Subnet", KIND_PREFIX, offsetof(struct pool, subnet)},
	{"IPRange", KIND_PREFIX, offsetof(struct pool, ip_range)},
	{"Gateway", KIND_ADDRESS, offsetof(struct pool, gateway)},
};

static const struct field endpoint_fields[] = {
	{"NetworkID", KIND_TEXT, offsetof(struct engine_endpoint, network_id)},
	{"IPAddress", KIND_ADDRESS, offsetof(struct engine_endpoint, ip)},
	{"IPPrefixLen", KIND_BITS, offsetof(struct engine_endpoint, prefix_len)},
	{"Gateway", KIND_ADDRESS, offsetof(struct engine_endpoint, gateway)},
	{"IPAMConfig.IPv4Address", KIND_ADDRESS, offsetof(struct engine_endpoint, configured)},
};

static const struct field listed_fields[] = {
	{"Id", KIND_TEXT, offsetof(struct engine_container, id)},
	{"HostConfig.NetworkMode", KIND_TEXT, offsetof(struct engine_container, network_mode)},
};

struct inspected {
	const char *id, *name, *network_mode, *sandbox_key;
	bool running, restarting;
	int pid;
};

static const struct field inspected_fields[] = {
	{"Id", KIND_TEXT, offsetof(struct inspected, id)},
	{"Name", KIND_TEXT, offsetof(struct inspected, name)},
	{"State.Running", KIND_FLAG, offsetof(struct inspected, running)},
	{"State.Restarting", KIND_FLAG, offsetof(struct inspected, restarting)},
	{"State.Pid", KIND_PID, offsetof(struct inspected, pid)},
	{"HostConfig.NetworkMode", KIND_TEXT, offsetof(struct inspected, network_mode)},
	{"NetworkSettings.SandboxKey", KIND_TEXT, offsetof(struct inspected, sandbox_key)},
};

static const struct field event_fields[] = {
	{"Type", KIND_TEXT, offsetof(struct engine_event, type)},
	{"Action", KIND_TEXT, offsetof(struct engine_event, action)},
	{"Actor.ID", KIND_TEXT, offsetof(struct engine_event, id)},
	{"Actor.Attributes.name", KIND_TEXT, offsetof(struct engine_event, name)},
	{"Actor.Attributes.container", KIND_TEXT, offsetof(struct engine_event, container)},
};

static void json_free(json_t **json)
{
	json_decref(*json);
}

#define AUTO_JSON __attribute__((cleanup(json_free)))

/* NULL with err set unless it is one JSON value of that type. */
static json_t *parse(const char *text, size_t len, json_type type, struct error *err)
{
	json_error_t where;
	json_t *json = json_loadb(text ? text : "", len, JSON_DECODE_ANY, &where);

	if (!json) {
		error_set(err, -1, "the engine's answer is not JSON: %s at byte %d", where.text,
			  where.position);
		return NULL;
	}
	if (json_typeof(json) != type) {
		error_set(err, -1, "the engine's answer is not a JSON %s",
			  type == JSON_ARRAY ? "array" : "object");
		json_decref(json);
		return NULL;
	}
	return json;
}

/*
 * *found is the value at the path, NULL where it or anything on the way is absent or null. False
 * where something on the way is no object.
 */
static bool look_up(const json_t **found, const json_t *object, const char *path, struct error *err)
{
	const char *rest = path;

	*found = object;
	while (*found && *rest) {
		size_t len = strcspn(rest, ".");

		if (!json_is_object(*found))
			return error_set(err, -1, "%.*s is not an object",
					 rest == path ? 0 : (int)(rest - path - 1), path);
		*found = json_object_getn(*found, rest, len);
		if (json_is_null(*found))
			*found = NULL;
		rest += len + (rest[len] == '.');
	}
	return true;
}

static bool store_text(const char **text, struct arena *a, const json_t *value)
{
	*text = "";
	if (value && json_is_string(value))
		*text = arena_strndup(a, json_string_value(value), json_string_length(value));
	return !value || json_is_string(value);
}

static bool store_flag(bool *flag, const json_t *value)
{
	*flag = value && json_is_true(value);
	return !value || json_is_boolean(value);
}

static bool read_number(json_int_t *number, const json_t *value, json_int_t max)
{
	*number = value && json_is_integer(value) ? json_integer_value(value) : 0;
	return (!value || json_is_integer(value)) && *number >= 0 && *number <= max;
}

/*
 * A text that is no address counts as none: other people's network drivers write what they like
 * here, and one strange network must not hide all others from us.
 */
static bool store_address(struct ip *ip, const json_t *value)
{
	if (!value || !json_is_string(value) || !ip_parse(ip, json_string_value(value)))
		*ip = (struct ip){0};
	return !value || json_is_string(value);
}

/* Canonical: 20.10 keeps "10.1.2.3/24" as it was given to it. */
static bool store_prefix(struct prefix *p, const json_t *value)
{
	if (value && json_is_string(value) && prefix_parse(p, json_string_value(value)))
		*p = prefix_canonical(*p);
	else
		*p = (struct prefix){0};
	return !value || json_is_string(value);
}

static bool store(void *to, struct arena *a, enum kind kind, const json_t *value)
{
	json_int_t number;
	bool ok;

	switch (kind) {
	case KIND_TEXT:
		return store_text(to, a, value);
	case KIND_FLAG:
		return store_flag(to, value);
	case KIND_PID:
		ok = read_number(&number, value, INT_MAX);
		*(int *)to = ok ? (int)number : 0;
		return ok;
	case KIND_BITS:
		ok = read_number(&number, value, 128);
		*(uint8_t *)to = ok ? (uint8_t)number : 0;
		return ok;
	case KIND_ADDRESS:
		return store_address(to, value);
	case KIND_PREFIX:
		return store_prefix(to, value);
	}
	return false;
}

static const char *const kind_names[] = {
	[KIND_TEXT] = "a text",
	[KIND_FLAG] = "true or false",
	[KIND_PID] = "a process id",
	[KIND_BITS] = "a prefix length",
	[KIND_ADDRESS] = "an address",
	[KIND_PREFIX] = "a subnet",
};

/* Fills the record from the object's members as the table says. */
static bool decode_fields(void *record, struct arena *a, const json_t *object,
			  const struct field *fields, size_t n, struct error *err)
{
	if (!json_is_object(object))
		return error_set(err, -1, "not an object");
	for (size_t i = 0; i < n; i++) {
		const json_t *value;

		if (!look_up(&value, object, fields[i].path, err))
			return false;
		if (!store((char *)record + fields[i].offset, a, fields[i].kind, value))
			return error_set(err, -1, "%s is not %s", fields[i].path,
					 kind_names[fields[i].kind]);
	}
	return true;
}

#define DECODE(record, a, object, fields, err)                                                     \
	decode_fields((record), (a), (object), (fields), COUNT_OF(fields), (err))

/* The array or object at the path; NULL if absent. False if it is of another type. */
static bool find_typed(const json_t **found, const json_t *object, const char *path, json_type type,
		       struct error *err)
{
	if (!look_up(found, object, path, err))
		return false;
	if (*found && json_typeof(*found) != type)
		return error_set(err, -1, "%s is not an %s", path,
				 type == JSON_ARRAY ? "array" : "object");
	return true;
}
