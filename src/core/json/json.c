/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a parsed text: members, strings, numbers, duplicate keys. */
#include "core/json/json.h"

#include "base/hash_index.h"
#include "core/json/escape.h"

#include <string.h>

/* Appends the character in UTF-8. */
static char *put_character(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*out++ = (char)(0xe0 | c >> 12);
		} else {
			*out++ = (char)(0xf0 | c >> 18);
			*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

/* Decodes the valid escape at *at and moves behind it. */
static char *put_escape(char *out, const char **at, const char *end)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint32_t c;

	if ((*at)[1] != 'u') {
		*out++ = to[strchr(from, (*at)[1]) - from];
		*at += 2;
		return out;
	}
	c = (uint32_t)escaped_unit(*at, end);
	*at += 6;
	if (is_high((int32_t)c)) {
		c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)escaped_unit(*at, end) - 0xdc00);
		*at += 6;
	}
	return put_character(out, c);
}

struct json_string json_string_unescaped(const struct json *json, uint32_t node, struct arena *a)
{
	const struct json_node *n = &json->nodes[node];
	const char *at = json->text + n->at + 1, *end = at + n->extent - 2;
	char *text, *out;

	out = text = arena_take(a, n->extent); /* no escape is shorter than its character */
	while (at < end)
		if (*at == '\\')
			out = put_escape(out, &at, end);
		else
			*out++ = *at++;
	return (struct json_string){text, (size_t)(out - text)};
}

static bool same_string(struct json_string a, struct json_string b)
{
	return a.text && b.text && a.len == b.len && !memcmp(a.text, b.text, a.len);
}

static bool escaped_is(const struct json *json, uint32_t node, const char *text, size_t len)
{
	AUTO_RELEASE struct arena a = {0};

	return same_string(json_string_of(json, node, &a), (struct json_string){text, len});
}

/* The node must be a string. */
static inline bool string_is(const struct json *json, uint32_t node, const char *text, size_t len)
{
	const struct json_node *n = &json->nodes[node];

	if (n->escaped)
		return escaped_is(json, node, text, len);
	return n->extent == len + 2 && !memcmp(json->text + n->at + 1, text, len);
}

bool json_string_is(const struct json *json, uint32_t node, const char *text, size_t len)
{
	return json_type_of(json, node) == JSON_TYPE_STRING && string_is(json, node, text, len);
}

uint32_t json_count(const struct json *json, uint32_t node)
{
	bool keyed = json_type_of(json, node) == JSON_TYPE_OBJECT;
	uint32_t n = 0;

	for (uint32_t i = node + 1; i < json_behind(json, node); i = json_behind(json, i + keyed))
		n++;
	return n;
}

uint32_t json_member_named(const struct json *json, uint32_t object, const char *key, size_t len)
{
	uint32_t found = 0;

	if (json_type_of(json, object) != JSON_TYPE_OBJECT)
		return 0;
	json_each_member (k, json, object)
		if (!json->nodes[k].doubled && string_is(json, k, key, len))
			found = k + 1;
	return found;
}

bool json_integer_of(int64_t *number, const struct json *json, uint32_t node)
{
	const struct json_node *n = &json->nodes[node];
	const char *at = json->text + n->at, *end = at + n->extent;
	bool negative = n->type == JSON_TYPE_NUMBER && *at == '-';
	int64_t sum = 0;

	if (n->type != JSON_TYPE_NUMBER)
		return false;
	for (at += negative; at < end; at++) {
		int digit = *at - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
		    /* negative numbers reach one further */
		    __builtin_sub_overflow(sum, digit, &sum))
			return false;
	}
	if (!negative && sum == INT64_MIN)
		return false;
	*number = negative ? sum : -sum;
	return true;
}

bool json_has_fraction(const struct json *json, uint32_t node)
{
	const struct json_node *n = &json->nodes[node];

	for (uint32_t i = 0; i < n->extent; i++)
		if (strchr(".eE", json->text[n->at + i]))
			return true;
	return false;
}

const char *json_type_name(const struct json *json, uint32_t node)
{
	static const char *const names[] = {
		[JSON_TYPE_OBJECT] = "an object", [JSON_TYPE_LIST] = "a list",
		[JSON_TYPE_STRING] = "a string",  [JSON_TYPE_NUMBER] = "a number",
		[JSON_TYPE_TRUE] = "true",	  [JSON_TYPE_FALSE] = "false",
		[JSON_TYPE_NULL] = "null",
	};
	enum json_type type = json_type_of(json, node);
	int64_t number;

	if (type != JSON_TYPE_NUMBER || json_integer_of(&number, json, node))
		return names[type];
	return json_has_fraction(json, node) ? "a number with a fraction or an exponent"
					     : "a number that is too large";
}

/* --- duplicate keys --- */

enum { FEW_MEMBERS = 16 }; /* in smaller objects every key is compared with every other */

/* The first key of the object with the same text; `key` itself if it is the first. */
static uint32_t first_of_few(const struct json *json, uint32_t object, uint32_t key,
			     struct arena *a)
{
	struct json_string mine = json_string_of(json, key, a);
	uint32_t other = object + 1;

	while (other != key && !same_string(json_string_of(json, other, a), mine))
		other = json_behind(json, other + 1);
	return other;
}

static uint32_t first_of_many(const struct json *json, struct hash_index *index, uint32_t key,
			      struct arena *a)
{
	struct json_string mine = json_string_of(json, key, a);
	uint64_t hash = hash_bytes(mine.text, mine.len);
	uint32_t first = hash_index_find(index, hash, other,
					 same_string(json_string_of(json, other, a), mine));

	if (first != NONE)
		return first;
	hash_index_add(index, hash, key);
	return key;
}

void json_find_duplicates(json_duplicate_list *found, struct arena *a, struct json *json,
			  uint32_t object)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct hash_index index = {0};

	if (json_count(json, object) > FEW_MEMBERS)
		hash_index_reserve(&index, &scratch, json_count(json, object));
	json_each_member (key, json, object) {
		uint32_t first = index.cap ? first_of_many(json, &index, key, &scratch)
					   : first_of_few(json, object, key, &scratch);

		if (first == key)
			continue;
		json->nodes[key].doubled = true;
		*list_add(a, found) = (struct json_duplicate){key, first};
	}
}
