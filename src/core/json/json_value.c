/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/json/json_value.h"

json_type json_value_type(const struct json_value *value)
{
	if (value->json)
		return json_typeof(value->json);
	if (value->text)
		return JSON_STRING;
	return value->members ? JSON_OBJECT : JSON_INTEGER;
}

bool json_value_integer(json_int_t *number, const struct json_value *value)
{
	*number = value->json ? json_integer_value(value->json) : value->number;
	return json_value_type(value) == JSON_INTEGER;
}

size_t json_members_count(const struct json_value *object)
{
	return object->json ? json_object_size(object->json) : object->len;
}

const struct json_member *json_members_next_of_library(struct json_members *members)
{
	json_t *json = (json_t *)(uintptr_t)members->object->json;

	members->at =
		members->at ? json_object_iter_next(json, members->at) : json_object_iter(json);
	if (!members->at)
		return NULL;
	members->now = (struct json_member){
		.key = json_object_iter_key(members->at),
		.len = json_object_iter_key_len(members->at),
		.value = json_value_of(json_object_iter_value(members->at)),
	};
	return &members->now;
}
