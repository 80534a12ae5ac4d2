/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The JSON parser (json.h says why it is ours): one walk over the text, without recursion. It makes
 * the nodes and stops at the first error.
 */
#include "core/json/escape.h"
#include "core/json/json.h"

#include <endian.h>
#include <string.h>

enum { MOST_LINES = (1 << 27) - 1, MOST_TYPES = 7 }; /* what a node has room for */

struct parser {
	struct json *json;
	struct arena *a; /* of the nodes */
	const char *text, *at, *end;
	uint32_t line;		       /* line of `at`; strings contain no line ends */
	uint32_t open[JSON_MAX_DEPTH]; /* nodes of the open brackets */
	uint32_t depth, max_depth;
	const char *comma; /* the last comma */
	struct json_error *wrong;
};

static bool fail_of_kind(struct parser *p, enum json_trouble kind, const char *at, const char *what)
{
	*p->wrong = (struct json_error){kind, (size_t)(at - p->text), what, SIZE_MAX};
	return false;
}

static bool fail(struct parser *p, const char *at, const char *what)
{
	return fail_of_kind(p, JSON_TROUBLE_SYNTAX, at, what);
}

static bool fail_of_bytes(struct parser *p, const char *at)
{
	return fail_of_kind(p, JSON_TROUBLE_BYTES, at,
			    *at ? "not UTF-8; save the file as UTF-8"
				: "a NUL byte; save the file as UTF-8");
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/*
 * Errors at the end point behind the last character, because editors show no place after the last
 * line.
 */
static bool fail_at_end(struct parser *p, const char *what)
{
	const char *at = p->end;

	while (at > p->text && is_blank(at[-1]))
		at--;
	fail(p, at, what);
	if (p->depth)
		p->wrong->opened = p->json->nodes[p->open[p->depth - 1]].at;
	return false;
}

/* An estimate: few texts have a node on less than eight bytes, and unused memory costs nothing. */
static void grow(struct parser *p)
{
	struct json *json = p->json;
	const struct json_node *old = json->nodes;

	json->cap = old ? 2 * json->cap : 16 + (uint32_t)(p->end - p->text) / 8;
	json->nodes = arena_take(p->a, json->cap * sizeof(*json->nodes));
	if (old)
		memcpy(json->nodes, old, json->n * sizeof(*old));
}

static uint32_t add_node(struct parser *p, enum json_type type, const char *at)
{
	struct json *json = p->json;

	if (json->n == json->cap)
		grow(p);
	json->nodes[json->n] = (struct json_node){.at = (uint32_t)(at - p->text),
						  .line = p->line & MOST_LINES,
						  .type = type & MOST_TYPES};
	return json->n++;
}

/* Indentation is skipped eight bytes at a time. */
static void skip_blanks(struct parser *p)
{
	const uint64_t blanks = UINT64_MAX / UINT8_MAX * ' ';
	const char *at = p->at;
	uint64_t word;

	for (; at < p->end && is_blank(*at); at++) {
		p->line += *at == '\n';
		while ((size_t)(p->end - at) > sizeof(word)) {
			memcpy(&word, at + 1, sizeof(word));
			word = le64toh(word) ^ blanks;
			at += word ? __builtin_ctzll(word) / 8 : (int)sizeof(word);
			if (word)
				break;
		}
	}
	p->at = at;
}

/* The next character that is not a blank; '\0' at the end, or at a NUL. */
static inline char peek(struct parser *p)
{
	if (p->at < p->end && (unsigned char)*p->at <= ' ')
		skip_blanks(p);
	return p->at < p->end ? *p->at : '\0';
}

/* --- strings --- */

/*
 * In eight bytes: the top bit of each byte that is a control character, a quote, a backslash or not
 * ASCII.
 */
static uint64_t special_bytes(uint64_t word)
{
	const uint64_t ones = UINT64_MAX / UINT8_MAX, tops = ones << 7;
	uint64_t quote = word ^ ones * '"', escape = word ^ ones * '\\';

	return ((word - ones * ' ') | (quote - ones) | (escape - ones) | word) & tops;
}

/* Skips ordinary bytes, eight at a time. May stop early, never late. */
static const char *skip_plain(const char *at, const char *end)
{
	uint64_t word, found;

	for (; (size_t)(end - at) >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		found = special_bytes(le64toh(word));
		if (found)
			return at + __builtin_ctzll(found) / 8;
	}
	return at;
}

/* Length of the escape at `at`; 0: JSON has no such escape. */
static size_t escape_length(const char *at, const char *end)
{
	int32_t unit;

	if (end - at < 2)
		return 0;
	if (at[1] != 'u')
		return at[1] && strchr("\"\\/bfnrt", at[1]) ? 2 : 0;
	unit = escaped_unit(at, end);
	if (unit < 0 || is_low(unit))
		return 0;
	if (!is_high(unit))
		return 6;
	return is_low(escaped_unit(at + 6, end)) ? 12 : 0;
}

/*
 * Length of the character at `at`, which is not ASCII; 0: not UTF-8 (RFC 3629): no overlong forms,
 * no surrogates, nothing above U+10FFFF.
 */
static size_t utf8_length(const char *text, const char *end)
{
	const unsigned char *at = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	n = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if ((size_t)(end - text) < n)
		return 0;
	low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : low;
	high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : high;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static bool fail_in_string(struct parser *p, const char *at)
{
	if (at == p->end)
		return fail_at_end(p, "unterminated string; add the closing quote");
	if (*at == '\n' || *at == '\r')
		return fail(p, at, "line break in a string; add the closing quote");
	if (*at == '\\')
		return fail(p, at, "unknown escape; write \\\\ for a backslash");
	if ((unsigned char)*at >= 0x80)
		return fail_of_bytes(p, at);
	return *at ? fail(p, at, "control character in a string; remove it") : fail_of_bytes(p, at);
}

static bool take_string(struct parser *p)
{
	uint32_t node = add_node(p, JSON_TYPE_STRING, p->at);
	const char *at = p->at + 1;
	bool escaped = false;

	for (;;) {
		size_t n;

		at = skip_plain(at, p->end);
		if (at == p->end || (unsigned char)*at < ' ')
			return fail_in_string(p, at);
		if (*at == '"')
			break;
		n = *at == '\\'			 ? escape_length(at, p->end)
		    : (unsigned char)*at >= 0x80 ? utf8_length(at, p->end)
						 : 1;
		if (!n)
			return fail_in_string(p, at);
		escaped |= *at == '\\';
		at += n;
	}
	p->json->nodes[node].extent = (uint32_t)(at + 1 - p->at);
	p->json->nodes[node].escaped = escaped;
	p->at = at + 1;
	return true;
}

/* --- numbers and words --- */

static const char *skip_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* Skips digits; NULL: there is none. */
static const char *take_digits(const char *at, const char *end)
{
	const char *behind = skip_digits(at, end);

	return behind == at ? NULL : behind;
}

/* Skips a number (RFC 8259 §6); NULL: there is none. */
static const char *number_end(const char *at, const char *end)
{
	const char *digits = at < end && *at == '-' ? at + 1 : at;

	at = take_digits(digits, end);
	if (!at || (*digits == '0' && at - digits > 1))
		return NULL;
	if (at < end && *at == '.')
		at = take_digits(at + 1, end);
	if (at && at < end && (*at == 'e' || *at == 'E')) {
		at++;
		at = take_digits(at < end && (*at == '+' || *at == '-') ? at + 1 : at, end);
	}
	return at;
}

static bool is_in_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c == '.' || c == '+' || c == '-';
}

static bool is_word(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(at, word, len);
}

static bool take_word(struct parser *p)
{
	static const char *const words[] = {
		[JSON_TYPE_NULL] = "null", [JSON_TYPE_FALSE] = "false", [JSON_TYPE_TRUE] = "true"};
	const char *at = p->at, *end = at, *number = number_end(at, p->end);
	enum json_type type = JSON_TYPE_NUMBER;
	uint32_t node;

	while (end < p->end && is_in_word(*end))
		end++;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (is_word(at, (size_t)(end - at), words[i]))
			type = (enum json_type)i;
	if (type == JSON_TYPE_NUMBER && number != end)
		return fail(p, at,
			    *at == '-' || *at == '+' || *at == '.' || (*at >= '0' && *at <= '9')
				    ? "not a valid number; write it in decimal, without a leading "
				      "zero or +"
				    : "unquoted word; put it in double quotes");
	node = add_node(p, type, at);
	p->json->nodes[node].extent = (uint32_t)(end - at);
	p->at = end;
	return true;
}

/* --- structure --- */

static bool fail_at_value(struct parser *p, char c, const char *expected)
{
	if (p->at == p->end && !p->depth)
		return fail_of_kind(p, JSON_TROUBLE_EMPTY, p->at, "the text is empty");
	if (p->at == p->end)
		return fail_at_end(p, "the text ends too early");
	if ((c == '}' || c == ']') && p->comma)
		return fail(p, p->comma, "trailing comma; remove it");
	if (c == '/' || c == '#')
		return fail(p, p->at, "JSON has no comments; remove it");
	if (c == '\'')
		return fail(p, p->at, "single quote; use double quotes");
	if (!c || ((unsigned char)c >= 0x80 && !utf8_length(p->at, p->end)))
		return fail_of_bytes(p, p->at);
	if ((unsigned char)c >= 0x80)
		return fail(p, p->at, "text outside of double quotes");
	return fail(p, p->at, expected);
}

/* A scalar, or the opening bracket of a list or object. */
static bool take_value(struct parser *p)
{
	char c = peek(p);

	if (c == '"')
		return take_string(p);
	if (c != '{' && c != '[')
		return is_in_word(c) ? take_word(p) : fail_at_value(p, c, "expected a value");
	if (p->depth == p->max_depth)
		return fail_of_kind(p, JSON_TROUBLE_LIMIT, p->at, "nested too deep");
	p->open[p->depth++] = add_node(p, c == '{' ? JSON_TYPE_OBJECT : JSON_TYPE_LIST, p->at);
	p->at++;
	return true;
}

static bool take_key(struct parser *p)
{
	char c = peek(p);

	if (c != '"')
		return is_in_word(c) ? fail(p, p->at, "unquoted key; put it in double quotes")
				     : fail_at_value(p, c, "expected a key in double quotes");
	if (!take_string(p))
		return false;
	if (peek(p) != ':')
		return p->at == p->end ? fail_at_end(p, "the text ends too early")
				       : fail(p, p->at, "expected a colon after the key");
	p->at++;
	return true;
}

static bool is_object(const struct parser *p)
{
	return p->json->nodes[p->open[p->depth - 1]].type == JSON_TYPE_OBJECT;
}

static void close_bracket(struct parser *p)
{
	p->json->nodes[p->open[--p->depth]].extent = p->json->n;
	p->at++;
}

static bool fail_between(struct parser *p, char c)
{
	if (p->at == p->end)
		return fail_at_end(p, "the text ends too early");
	if (c == '}' || c == ']')
		return fail(p, p->at,
			    is_object(p) ? "expected \"}\" to close the \"{\""
					 : "expected \"]\" to close the \"[\"");
	if (c == '/' || c == '#')
		return fail(p, p->at, "JSON has no comments; remove it");
	return c ? fail(p, p->at, "expected a comma or a closing bracket")
		 : fail_of_bytes(p, p->at);
}

/*
 * After a value: closes the brackets that end here. False: no value follows, because of the end or
 * of *wrong.
 */
static bool take_next(struct parser *p)
{
	p->comma = NULL;
	while (p->depth) {
		char c = peek(p);

		if (c == ',') {
			p->comma = p->at++;
			return true;
		}
		if (c != (is_object(p) ? '}' : ']'))
			return fail_between(p, c);
		close_bracket(p);
	}
	return false;
}

/* The bracket that was just opened is closed at once. */
static bool is_empty(struct parser *p)
{
	return peek(p) == (is_object(p) ? '}' : ']');
}

static bool parse(struct parser *p)
{
	bool more = true;

	while (more) {
		uint32_t depth = p->depth;

		if ((depth && is_object(p) && !take_key(p)) || !take_value(p))
			return false;
		p->comma = NULL;
		if (p->depth > depth && !is_empty(p))
			continue;
		if (p->depth > depth)
			close_bracket(p);
		more = take_next(p);
	}
	if (p->wrong->what)
		return false;
	return peek(p) == '\0' && p->at == p->end
		       ? true
		       : fail(p, p->at, "text after the end of the JSON value; remove it");
}

bool json_parse(struct json *json, struct arena *a, const char *text, size_t len, uint32_t depth,
		struct json_error *wrong)
{
	struct parser p = {.json = json,
			   .a = a,
			   .text = text,
			   .at = text,
			   .end = text + len,
			   .line = 1,
			   .max_depth = depth,
			   .wrong = wrong};

	*json = (struct json){.text = text};
	*wrong = (struct json_error){0};
	if (len > JSON_MAX_BYTES)
		return fail_of_kind(&p, JSON_TROUBLE_LIMIT, text, "longer than 1 GiB");
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return fail_of_kind(
			&p, JSON_TROUBLE_BYTES, text,
			"the file begins with a byte order mark; save it as UTF-8 without one");
	return parse(&p);
}
