/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A value of a JSON text (RFC 8259), whoever read it: the JSON library, or json_pieces.c where it
 * is so plain that it means what stands there. Decoders see no difference.
 */
#pragma once

#include "base/base.h"

#include <jansson.h>

struct json_value {
	const json_t *json;		   /* what the library made of it; NULL: it is plain */
	const char *text;		   /* of a string, NUL behind it; NULL: it is none */
	const struct json_member *members; /* of a plain object */
	size_t len;			   /* bytes of the text, members of the plain object */
	json_int_t number;		   /* where it is plain and neither text nor object */
};

struct json_member {
	const char *key; /* of an object that is plain there is no NUL behind it */
	size_t len;
	struct json_value value;
};

static inline struct json_value json_value_of(const json_t *json)
{
	return (struct json_value){
		.json = json, .text = json_string_value(json), .len = json_string_length(json)};
}

json_type json_value_type(const struct json_value *value);
bool json_value_integer(json_int_t *number, const struct json_value *value);

/* Members of an object, one after the other: {.object = value}, then next until it gives NULL. */
struct json_members {
	const struct json_value *object;
	size_t i;
	void *at;		/* the library's iterator */
	struct json_member now; /* of the library's object */
};

size_t json_members_count(const struct json_value *object);
const struct json_member *json_members_next_of_library(struct json_members *members);

static inline const struct json_member *json_members_next(struct json_members *members)
{
	const struct json_value *object = members->object;

	if (object->json)
		return json_members_next_of_library(members);
	return members->i < object->len ? &object->members[members->i++] : NULL;
}
