/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as JSON: our reader and the library jansson agree whether it is JSON, and on every
 * value in it. Left out is what jansson limits on purpose: numbers out of range, NUL in keys,
 * depth.
 */
#include "fuzz.h"

#include "core/json/builder.h"

#include <jansson.h>

/* jansson refuses these, and RFC 8259 does not. */
static bool is_a_limit(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_numeric_overflow:
	case json_error_null_byte_in_key:
	case json_error_stack_overflow:
		return true;
	default:
		return false;
	}
}

static json_type type_of(const struct json *json, uint32_t node)
{
	static const json_type types[] = {
		[JSON_TYPE_NULL] = JSON_NULL,  [JSON_TYPE_FALSE] = JSON_FALSE,
		[JSON_TYPE_TRUE] = JSON_TRUE,  [JSON_TYPE_STRING] = JSON_STRING,
		[JSON_TYPE_LIST] = JSON_ARRAY, [JSON_TYPE_OBJECT] = JSON_OBJECT,
	};
	int64_t number;

	if (json_type_of(json, node) == JSON_TYPE_NUMBER)
		return json_integer_of(&number, json, node) ? JSON_INTEGER : JSON_REAL;
	return types[json_type_of(json, node)];
}

static void same_string(const struct json *json, uint32_t node, const char *text, size_t len)
{
	struct arena a = {0};
	struct json_string ours = json_string_of(json, node, &a);

	claim(ours.len == len && !memcmp(ours.text, text, len));
	claim(json_string_is(json, node, text, len));
	arena_release(&a);
}

static void same(struct json *json, uint32_t node, const json_t *theirs);

static void same_object(struct json *json, uint32_t node, const json_t *theirs)
{
	struct arena a = {0};
	json_duplicate_list doubles = {0};
	uint32_t n = 0;

	json_each_member (key, json, node) {
		struct json_string name = json_string_of(json, key, &a);
		const json_t *value = json_object_getn(theirs, name.text, name.len);

		claim(value);
		n++;
	}
	claim(n == json_count(json, node));
	json_find_duplicates(&doubles, &a, json, node);
	claim(doubles.n || n == json_object_size(theirs));
	if (!doubles.n)
		json_each_member (key, json, node) {
			struct json_string name = json_string_of(json, key, &a);

			same(json, key + 1, json_object_getn(theirs, name.text, name.len));
		}
	arena_release(&a);
}

static void same(struct json *json, uint32_t node, const json_t *theirs)
{
	int64_t number;
	size_t i = 0;

	claim(type_of(json, node) == json_typeof(theirs));
	switch (json_typeof(theirs)) {
	case JSON_STRING:
		same_string(json, node, json_string_value(theirs), json_string_length(theirs));
		break;
	case JSON_INTEGER:
		claim(json_integer_of(&number, json, node));
		claim(number == json_integer_value(theirs));
		break;
	case JSON_ARRAY:
		json_each (item, json, node)
			same(json, item, json_array_get(theirs, i++));
		claim(i == json_array_size(theirs) && i == json_count(json, node));
		break;
	case JSON_OBJECT:
		same_object(json, node, theirs);
		break;
	case JSON_REAL:
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
}

/* One key twice in an object: jansson can be asked to refuse that. */
static void same_doubles(struct json *json, const char *text, size_t size)
{
	struct arena a = {0};
	json_duplicate_list doubles = {0};
	json_t *strict = json_loadb(
		text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

	for (uint32_t i = 0; i < json->n; i++)
		if (json_type_of(json, i) == JSON_TYPE_OBJECT)
			json_find_duplicates(&doubles, &a, json, i);
	claim(!strict == !!doubles.n);
	json_decref(strict);
	arena_release(&a);
}

/* Written again it means the same. */
static void same_again(const struct json *json, const json_t *theirs)
{
	AUTO_BUF struct buf text = {0};
	json_t *again;

	json_write(&text, json, JSON_ROOT);
	again = json_loadb(buf_text(&text), text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	claim(json_equal(again, theirs));
	json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = own_copy(data, size);
	struct arena a = {0};
	struct json json;
	struct json_error wrong;
	json_error_t refused;
	bool ours = json_parse(&json, &a, text, size, JSON_MAX_DEPTH, &wrong);
	json_t *theirs = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &refused);

	claim(ours || (wrong.what && wrong.at <= size));
	if (memchr(text, '\0', size))
		claim(!ours); /* jansson loses a NUL behind a number */
	else if (!ours && !strcmp(wrong.what, "nested too deep"))
		;
	else if (theirs) {
		claim(ours);
		same(&json, JSON_ROOT, theirs);
		same_doubles(&json, text, size);
		same_again(&json, theirs);
	} else {
		claim(!ours || is_a_limit(&refused));
	}
	json_decref(theirs);
	arena_release(&a);
	free(text);
	return 0;
}
