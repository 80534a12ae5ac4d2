/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores JSON members of known types, and says which one is wrong where one is. */
#include "core/engine/json.h"

#include "core/json/json_arena.h"

#include <limits.h>
#include <string.h>

json_t *json_read(struct arena *a, const char *text, size_t len, json_type type, struct error *err)
{
	json_error_t where;
	json_t *json;

	json_arena_begin(a);
	json = json_loadb(text ? text : "", len, JSON_DECODE_ANY, &where);
	json_arena_end();
	if (!json) {
		char *near = strstr(where.text, " near "); /* quotes bytes as they are */

		error_set(err, -1, "the engine's answer is not JSON: %.*s at byte %d",
			  near ? (int)(near - where.text) : (int)strlen(where.text), where.text,
			  where.position);
		return NULL;
	}
	if (json_typeof(json) != type) {
		error_set(err, -1, "the engine's answer is not a JSON %s",
			  type == JSON_ARRAY ? "array" : "object");
		return NULL;
	}
	return json;
}

/*
 * *found is the value at the path, NULL where it or anything on the way is absent or null. False
 * where something on the way is no object.
 */
bool json_look_up(json_t **found, json_t *object, const char *path, struct error *err)
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

bool json_store_text(const char **text, struct arena *a, const json_t *value)
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

static bool store(void *to, struct arena *a, enum json_kind kind, const json_t *value)
{
	json_int_t number;
	bool ok;

	switch (kind) {
	case JSON_KIND_TEXT:
		return json_store_text(to, a, value);
	case JSON_KIND_FLAG:
		return store_flag(to, value);
	case JSON_KIND_PID:
		ok = read_number(&number, value, INT_MAX);
		*(int *)to = ok ? (int)number : 0;
		return ok;
	case JSON_KIND_BITS:
		ok = read_number(&number, value, 128);
		*(uint8_t *)to = ok ? (uint8_t)number : 0;
		return ok;
	case JSON_KIND_ADDRESS:
		return store_address(to, value);
	case JSON_KIND_PREFIX:
		return store_prefix(to, value);
	}
	return false;
}

static const char *const kind_names[] = {
	[JSON_KIND_TEXT] = "a text",	    [JSON_KIND_FLAG] = "true or false",
	[JSON_KIND_PID] = "a process id",   [JSON_KIND_BITS] = "a prefix length",
	[JSON_KIND_ADDRESS] = "an address", [JSON_KIND_PREFIX] = "a subnet",
};

/* Fills the record from the object's members as the table says. */
bool json_decode_fields(void *record, struct arena *a, json_t *object,
			const struct json_field *fields, size_t n, struct error *err)
{
	if (!json_is_object(object))
		return error_set(err, -1, "not an object");
	for (size_t i = 0; i < n; i++) {
		json_t *value;

		if (!json_look_up(&value, object, fields[i].path, err))
			return false;
		if (!store((char *)record + fields[i].offset, a, fields[i].kind, value))
			return error_set(err, -1, "%s is not %s", fields[i].path,
					 kind_names[fields[i].kind]);
	}
	return true;
}

/* The array or object at the path; NULL if absent. False if it is of another type. */
bool json_find(json_t **found, json_t *object, const char *path, json_type type, struct error *err)
{
	if (!json_look_up(found, object, path, err))
		return false;
	if (*found && json_typeof(*found) != type)
		return error_set(err, -1, "%s is not an %s", path,
				 type == JSON_ARRAY ? "array" : "object");
	return true;
}
