/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/json/json_pieces.h"

#include <endian.h>
#include <string.h>

enum { MOST_MEMBERS = 16 }; /* of an object that is read here; a policy has seven, mostly */

static bool is_blank(char c)
{
	const uint64_t blanks = 1ull << ' ' | 1ull << '\t' | 1ull << '\r' | 1ull << '\n';

	return (unsigned char)c <= ' ' && blanks >> c & 1;
}

static char skip_blanks(struct json_pieces *p)
{
	const char *at = p->at;

	while (at < p->end && is_blank(*at))
		at++;
	p->at = at;
	return at < p->end ? *at : '\0';
}

static inline char next_char(struct json_pieces *p)
{
	if (p->at == p->end || *p->at <= ' ')
		return skip_blanks(p);
	return *p->at;
}

bool json_pieces_take(struct json_pieces *p, char wanted)
{
	if (p->broken || next_char(p) != wanted)
		return false;
	p->at++;
	return true;
}

bool json_pieces_more(struct json_pieces *p, char close, bool first)
{
	char next = next_char(p);

	p->broken |= next != close && next != ',' && !first;
	p->at += !p->broken && (next == close || !first);
	return !p->broken && next != close;
}

static bool read_by_library(struct json_value *value, struct json_pieces *p)
{
	json_error_t error;
	const json_t *json =
		json_loadb(p->at, (size_t)(p->end - p->at),
			   p->flags | JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);

	p->broken = !json;
	if (json) /* on success, as it is documented, the number of bytes read */
		p->at += error.position;
	*value = json_value_of(json);
	return json;
}

/* --- what is plain: each is false, and nothing is taken, where it is for the library to say --- */

/*
 * Of eight bytes: the first of those with the top bit set is no printable ASCII, a quote or a \.
 * Controls and the quote, its second bit turned, are what is no more than a blank.
 */
static uint64_t oddities(uint64_t word)
{
	const uint64_t ones = UINT64_MAX / UINT8_MAX, tops = ones << 7;
	const uint64_t turned = word ^ ones * 2, escape = word ^ ones * '\\';
	const uint64_t low = turned - ones * (' ' + 1), high = (word & ~tops) + ones;

	return (low | high | word | (escape - ones)) & tops;
}

static bool plain_text(const char **text, size_t *len, struct json_pieces *p)
{
	const char *from = p->at + 1, *at = from;
	uint64_t word, found = 0;

	for (; !found && (size_t)(p->end - at) >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		found = oddities(le64toh(word));
	}
	if (found)
		at += __builtin_ctzll(found) / 8 - (int)sizeof(word);
	if (!found || *at != '"')
		return false;
	*text = from;
	*len = (size_t)(at - from);
	p->at = at + 1;
	return true;
}

static bool ends_number(char c)
{
	return c == ',' || c == '}' || c == ']' || is_blank(c);
}

static bool plain_number(json_int_t *number, struct json_pieces *p)
{
	enum { FEW = 9 }; /* digits: no overflow */
	const char *at = p->at;

	*number = 0;
	for (; at < p->end && at - p->at < FEW && *at >= '0' && *at <= '9'; at++)
		*number = 10 * *number + *at - '0';
	if (*number == 0 || *p->at == '0' || at == p->end || !ends_number(*at))
		return false;
	p->at = at;
	return true;
}

static bool read_scalar(struct json_value *value, struct json_pieces *p)
{
	const char *text;

	*value = (struct json_value){0};
	if (next_char(p) != '"')
		return plain_number(&value->number, p) || read_by_library(value, p);
	if (!plain_text(&text, &value->len, p))
		return read_by_library(value, p);
	value->text = arena_strndup(p->tree, text, value->len);
	return true;
}

static bool is_among(const struct json_member *members, size_t n, const struct json_member *other)
{
	for (size_t i = 0; i < n; i++)
		if (members[i].len == other->len && !memcmp(members[i].key, other->key, other->len))
			return true;
	return false;
}

static bool read_member(struct json_member *member, struct json_pieces *p)
{
	return next_char(p) == '"' && plain_text(&member->key, &member->len, p) &&
	       json_pieces_take(p, ':') && next_char(p) != '{' && read_scalar(&member->value, p);
}

static bool plain_object(struct json_value *value, struct json_pieces *p)
{
	struct json_member *members = arena_take(p->tree, MOST_MEMBERS * sizeof(*members));
	struct json_pieces start = *p;
	size_t n = 0;

	p->at++;
	for (; json_pieces_more(p, '}', n == 0); n++)
		p->broken = n == MOST_MEMBERS || !read_member(&members[n], p) ||
			    is_among(members, n, &members[n]);
	if (p->broken)
		*p = start;
	*value = (struct json_value){.members = members, .len = n};
	return p->at != start.at;
}

bool json_piece(struct json_value *value, struct json_pieces *p)
{
	arena_reset(p->tree);
	if (p->broken)
		return false;
	return (next_char(p) == '{' && plain_object(value, p)) || read_scalar(value, p);
}

const char *json_pieces_key(struct json_pieces *p, struct arena *a)
{
	struct json_value key;

	p->broken |= !json_piece(&key, p) || !key.text || strlen(key.text) != key.len ||
		     !json_pieces_take(p, ':');
	return p->broken ? "" : arena_strndup(a, key.text, key.len);
}

bool json_pieces_end(struct json_pieces *p)
{
	return !p->broken && next_char(p) == '\0' && p->at == p->end;
}
