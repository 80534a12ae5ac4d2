/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds a JSON object, from nothing or from a parsed text: its members in order, each value as
 * JSON text. Values that are taken over keep their spelling, also large numbers and escapes. Inner
 * objects are built separately and then set. Pure.
 */
#pragma once

#include "base/buf.h"
#include "core/json/json.h"

struct json_member {
	struct json_string name;
	const char *key, *value; /* as JSON text */
};

struct json_builder {
	struct arena *a; /* contains all texts */
	LIST(struct json_member) members;
};

/* Appends the value as the text has it, without blanks. */
void json_write(struct buf *out, const struct json *json, uint32_t node);
const char *json_text(struct arena *a, const struct json *json, uint32_t node);

/* Parses an object; empty if the text is NULL or no object. */
struct json_builder json_builder_of(struct arena *a, const char *text);
/* The value of the last member with this name, as engines read it; NULL: none. */
const char *json_builder_get(const struct json_builder *draft, const char *name);
/* Sets a member and removes all others of this name. */
void json_builder_set(struct json_builder *draft, const char *name, const char *value);
void json_builder_set_string(struct json_builder *draft, const char *name, const char *text);
void json_builder_set_object(struct json_builder *draft, const char *name,
			     const struct json_builder *value);
void json_builder_remove(struct json_builder *draft, const char *name);
void json_builder_write(struct buf *out, const struct json_builder *draft);
