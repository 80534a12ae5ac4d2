/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A JSON object that is made, or taken over from a parsed text and changed: its members in order,
 * each value as JSON text. What is taken over keeps its spelling, large numbers and escapes too.
 * Inner objects are drafts of their own until they are set. Pure.
 */
#pragma once

#include "base/buf.h"
#include "core/json/json.h"

struct json_member {
	struct json_string name;
	const char *key, *value; /* JSON text */
};

struct json_draft {
	struct arena *a; /* of all texts */
	LIST(struct json_member) members;
};

/* Appends a value as the text has it, without blanks. */
void json_write(struct buf *out, const struct json *json, uint32_t node);
const char *json_text(struct arena *a, const struct json *json, uint32_t node);

/* The object that stands in a text; empty where there is none. */
struct json_draft json_draft_of(struct arena *a, const char *text);
/* The last one of this name, as engines read it; NULL: there is none. */
const char *json_draft_get(const struct json_draft *draft, const char *name);
/* In place of all of this name. */
void json_draft_set(struct json_draft *draft, const char *name, const char *value);
void json_draft_set_string(struct json_draft *draft, const char *name, const char *text);
void json_draft_set_object(struct json_draft *draft, const char *name,
			   const struct json_draft *value);
void json_draft_remove(struct json_draft *draft, const char *name);
void json_draft_write(struct buf *out, const struct json_draft *draft);
