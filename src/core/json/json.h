/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A JSON text (RFC 8259, strict) as a flat array of nodes, each with the offset and the line where
 * it begins. networks.json, the engine's answers and the state file are read with it. Pure.
 *
 * Why this is ours and no library: a diagnostic about the meaning of a value ("70000 is not a
 * port") needs the value's line and column, and no JSON library of Debian 12 keeps positions.
 * tests/fuzz compares it with jansson, which takes eight times as long for the lists of an engine.
 *
 * Nodes stand in the order of the text. Behind a list or an object come its items; in an object
 * each key is a node of its own, directly before its value. Numbers of nodes (uint32_t) are the
 * handles; 0 is the root, which is nobody's member, so that json_member says "absent" with 0.
 *
 * In this room:
 *     json.h     the reader, and the values of a parsed text
 *     path.h     where a value stands, as people write it
 *     builder.h  objects that are made or changed, and JSON text of a parsed value
 *     escape.h   \uXXXX in strings
 */
#pragma once

#include "base/arena.h"

enum json_type {
	JSON_TYPE_NULL,
	JSON_TYPE_FALSE,
	JSON_TYPE_TRUE,
	JSON_TYPE_NUMBER,
	JSON_TYPE_STRING,
	JSON_TYPE_LIST,
	JSON_TYPE_OBJECT,
};

struct json_node {
	uint32_t at;	 /* offset of its first byte, in the text */
	uint32_t extent; /* list or object: the node after it and all its contents; others: length
			    in bytes, with quotes */
	uint32_t line : 27;   /* from 1; exact in texts of less than 128 MiB */
	uint32_t type : 3;    /* enum json_type */
	uint32_t escaped : 1; /* a string that contains a backslash */
	uint32_t doubled : 1; /* a key that repeats an earlier key of its object; set by
				 json_find_duplicates */
};

struct json {
	const char *text;	 /* owned by the caller, while this is used */
	struct json_node *nodes; /* in the caller's arena */
	uint32_t n, cap;
};

enum { JSON_ROOT = 0, JSON_MAX_DEPTH = 64, JSON_MAX_BYTES = 1 << 30 };

enum json_trouble {
	JSON_TROUBLE_SYNTAX,
	JSON_TROUBLE_BYTES, /* not UTF-8, or a NUL */
	JSON_TROUBLE_EMPTY, /* nothing but blanks */
	JSON_TROUBLE_LIMIT, /* nested too deep, or too long */
};

/* The first thing that is wrong with a text. */
struct json_error {
	enum json_trouble kind;
	size_t at; /* an offset; if something is missing, of the place behind the last character */
	const char *what; /* "trailing comma; remove it" */
	size_t opened;	  /* if the text ends too early: offset of the bracket that is still open;
			     SIZE_MAX: none */
};

/*
 * depth: allowed nesting, at most JSON_MAX_DEPTH. False: *wrong says why. Duplicate keys are
 * allowed here.
 */
MUST_CHECK bool json_parse(struct json *json, struct arena *a, const char *text, size_t len,
			   uint32_t depth, struct json_error *wrong);

static inline enum json_type json_type_of(const struct json *json, uint32_t node)
{
	return (enum json_type)json->nodes[node].type;
}

/* "a list", "a number that is too large" */
const char *json_type_name(const struct json *json, uint32_t node);

/* The node after this value and its contents. */
static inline uint32_t json_behind(const struct json *json, uint32_t node)
{
	return json_type_of(json, node) < JSON_TYPE_LIST ? node + 1 : json->nodes[node].extent;
}

/* Items of a list: json_each (item, json, list). */
#define json_each(item, json, list)                                                                \
	for (uint32_t item = (list) + 1; item < json_behind((json), (list));                       \
	     item = json_behind((json), item))

/* Members of an object: json_each_member (key, json, object), the value is node key + 1. */
#define json_each_member(key, json, object)                                                        \
	for (uint32_t key = (object) + 1; key < json_behind((json), (object));                     \
	     key = json_behind((json), key + 1))

/* Of items, or members. */
uint32_t json_count(const struct json *json, uint32_t list_or_object);
/* The value of the last member with this key that is not `doubled`; 0: none, or not an object. */
uint32_t json_member_named(const struct json *json, uint32_t object, const char *key, size_t len);
static inline uint32_t json_member(const struct json *json, uint32_t object, const char *key)
{
	return json_member_named(json, object, key, strlen(key));
}
/* A string is this text. */
bool json_string_is(const struct json *json, uint32_t node, const char *text, size_t len);

struct json_string {
	const char *text; /* not terminated by a NUL; NULL: not a string */
	size_t len;
};
struct json_string json_string_unescaped(const struct json *json, uint32_t node, struct arena *a);

/* The characters of a string: in the text itself, or, if there were escapes, in the arena. */
static inline struct json_string json_string_of(const struct json *json, uint32_t node,
						struct arena *a)
{
	const struct json_node *n = &json->nodes[node];

	if (n->type != JSON_TYPE_STRING)
		return (struct json_string){0};
	if (n->escaped)
		return json_string_unescaped(json, node, a);
	return (struct json_string){json->text + n->at + 1, n->extent - 2};
}

/* The number has a fraction or an exponent. */
bool json_has_fraction(const struct json *json, uint32_t number);
/* False: not a number, a fraction or exponent, or out of range. */
bool json_integer_of(int64_t *number, const struct json *json, uint32_t node);

/* A key that repeats an earlier key of its object, and that first key. */
struct json_duplicate {
	uint32_t key, first;
};
typedef LIST(struct json_duplicate) json_duplicate_list;
/* Finds duplicates in this object, in text order, and marks the later keys as `doubled`. */
void json_find_duplicates(json_duplicate_list *found, struct arena *a, struct json *json,
			  uint32_t object);
