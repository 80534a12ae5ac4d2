/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores members of known types, and reports a member of a wrong type. */
#include "core/engine/answer.h"

#include "core/json/path.h"

#include <limits.h>
#include <string.h>

void answer_release(struct answer *answer)
{
	arena_release(&answer->tree);
}

bool answer_wrong(const struct answer *answer, uint32_t node, const char *format, ...)
{
	struct json_step steps[JSON_MAX_DEPTH + 1] = {0};
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf path = {0};
	const char *what;
	va_list args;

	va_start(args, format);
	what = arena_vprintf(&a, format, args);
	va_end(args);
	json_path_way(&path, &answer->json, steps, JSON_ROOT, node);
	return error_set(answer->err, -1, "byte %u of the answer: %s%s%s",
			 answer->json.nodes[node].at, buf_text(&path), path.len ? ": " : "", what);
}

static bool wrong_type(const struct answer *answer, uint32_t node, const char *expected)
{
	return answer_wrong(answer, node, "expected %s, found %s", expected,
			    json_type_name(&answer->json, node));
}

static bool answer_expect(const struct answer *answer, uint32_t node, enum json_type type)
{
	return json_type_of(&answer->json, node) == type ||
	       wrong_type(answer, node, type == JSON_TYPE_LIST ? "a list" : "an object");
}

bool answer_parse(struct answer *answer, struct arena *a, const char *text, size_t len,
		  enum json_type type, struct error *err)
{
	struct json_error wrong;

	*answer = (struct answer){.a = a, .err = err};
	if (!json_parse(&answer->json, &answer->tree, text, len, JSON_MAX_DEPTH, &wrong))
		return error_set(err, -1, "byte %zu of the answer: not JSON: %s", wrong.at,
				 wrong.what);
	return answer_expect(answer, JSON_ROOT, type);
}

/* *found: JSON_ROOT if it is missing or null. False: something on the path is not an object. */
static bool look_up(uint32_t *found, const struct answer *answer, uint32_t object, const char *path)
{
	const char *dot;

	for (; path; path = dot ? dot + 1 : NULL) {
		dot = strchr(path, '.');
		if (!answer_expect(answer, object, JSON_TYPE_OBJECT))
			return false;
		object = json_member_named(&answer->json, object, path,
					   dot ? (size_t)(dot - path) : strlen(path));
		if (object == JSON_ROOT || json_type_of(&answer->json, object) == JSON_TYPE_NULL) {
			*found = JSON_ROOT;
			return true;
		}
	}
	*found = object;
	return true;
}

bool answer_find(uint32_t *found, const struct answer *answer, uint32_t object, const char *path,
		 enum json_type type)
{
	return look_up(found, answer, object, path) &&
	       (*found == JSON_ROOT || answer_expect(answer, *found, type));
}

bool answer_text(const char **text, const struct answer *answer, uint32_t node)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct json_string s = json_string_of(&answer->json, node, &scratch);

	if (!s.text)
		return wrong_type(answer, node, "a string");
	if (memchr(s.text, '\0', s.len))
		return answer_wrong(answer, node, "a NUL character");
	*text = arena_strndup(answer->a, s.text, s.len);
	return true;
}

static bool store_flag(bool *flag, const struct answer *answer, uint32_t node)
{
	enum json_type type = json_type_of(&answer->json, node);

	*flag = type == JSON_TYPE_TRUE;
	return type == JSON_TYPE_TRUE || type == JSON_TYPE_FALSE ||
	       wrong_type(answer, node, "true or false");
}

static bool read_number(int64_t *number, const struct answer *answer, uint32_t node, int64_t max,
			const char *expected)
{
	if (!json_integer_of(number, &answer->json, node))
		return wrong_type(answer, node, expected);
	return (*number >= 0 && *number <= max) ||
	       answer_wrong(answer, node, "expected %s, found %lld", expected, (long long)*number);
}

/*
 * Copies address and prefix; "" if too long. Invalid text counts as no address: other people's
 * network drivers write what they like here, and one odd network must not hide all others.
 */
static bool read_short(char text[64], const struct answer *answer, uint32_t node,
		       const char *expected)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct json_string s = json_string_of(&answer->json, node, &scratch);
	bool fits = s.len < 64 && s.text && !memchr(s.text, '\0', s.len);

	if (fits)
		memcpy(text, s.text, s.len);
	text[fits ? s.len : 0] = '\0';
	return s.text || wrong_type(answer, node, expected);
}

static bool store_address(struct ip *ip, const struct answer *answer, uint32_t node)
{
	char text[64];

	if (!read_short(text, answer, node, "an address"))
		return false;
	if (!ip_parse(ip, text))
		*ip = (struct ip){0};
	return true;
}

/* Canonical, because Docker 20.10 keeps "10.1.2.3/24" as given. */
static bool store_prefix(struct prefix *p, const struct answer *answer, uint32_t node)
{
	char text[64];

	if (!read_short(text, answer, node, "a subnet"))
		return false;
	*p = prefix_parse(p, text) ? prefix_canonical(*p) : (struct prefix){0};
	return true;
}

static bool store(void *to, enum answer_kind kind, const struct answer *answer, uint32_t node)
{
	int64_t number = 0;

	switch (kind) {
	case ANSWER_TEXT:
		return answer_text(to, answer, node);
	case ANSWER_FLAG:
		return store_flag(to, answer, node);
	case ANSWER_PID:
		if (!read_number(&number, answer, node, INT_MAX, "a process id"))
			return false;
		*(int *)to = (int)number;
		return true;
	case ANSWER_PORT:
		if (!read_number(&number, answer, node, UINT16_MAX, "a port"))
			return false;
		*(uint16_t *)to = (uint16_t)number;
		return true;
	case ANSWER_ADDRESS:
		return store_address(to, answer, node);
	case ANSWER_PREFIX:
		return store_prefix(to, answer, node);
	}
	return false;
}

bool answer_decode_fields(void *record, const struct answer *answer, uint32_t object,
			  const struct answer_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		void *to = (char *)record + fields[i].offset;
		uint32_t node;

		if (!look_up(&node, answer, object, fields[i].path))
			return false;
		if (node == JSON_ROOT && fields[i].kind == ANSWER_TEXT)
			*(const char **)to = "";
		if (node != JSON_ROOT && !store(to, fields[i].kind, answer, node))
			return false;
	}
	return true;
}
