/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/json_pieces.h"

#include <endian.h>
#include <string.h>

enum { MOST_MEMBERS = 16 }; /* of an object that is read here; a policy has seven */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char next_char(struct json_pieces *p)
{
	while (p->at < p->len && is_blank(p->text[p->at]))
		p->at++;
	return p->at < p->len ? p->text[p->at] : '\0';
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
	if (json_pieces_take(p, close))
		return false;
	p->broken |= !first && !json_pieces_take(p, ',');
	return !p->broken;
}

static bool read_by_library(struct json_value *value, struct json_pieces *p)
{
	json_error_t error;
	const json_t *json =
		json_loadb(p->text + p->at, p->len - p->at,
			   p->flags | JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);

	p->broken = !json;
	if (json) /* on success, as it is documented, the number of bytes read */
		p->at += (size_t)error.position;
	*value = json_value_of(json);
	return json;
}

/* --- what is plain: each is false, and nothing is taken, where it is for the library to say --- */

/* Of eight bytes: the first of those with the top bit set is no printable ASCII, a quote or a \. */
static uint64_t oddities(uint64_t word)
{
	const uint64_t ones = UINT64_MAX / UINT8_MAX, tops = ones << 7;
	const uint64_t quote = word ^ ones * '"', escape = word ^ ones * '\\';
	const uint64_t low = (word - ones * ' ') & ~word, high = (word & ~tops) + ones;

	return (low | high | word | ((quote - ones) & ~quote) | ((escape - ones) & ~escape)) & tops;
}

static const char *plain_text(size_t *len, struct json_pieces *p)
{
	const char *from = p->text + p->at + 1, *at = from, *end = p->text + p->len;
	uint64_t word, found = 0;
	char *text;

	for (; !found && (size_t)(end - at) >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		found = oddities(le64toh(word));
	}
	if (found)
		at += __builtin_ctzll(found) / 8 - (int)sizeof(word);
	if (!found || *at != '"')
		return NULL;
	*len = (size_t)(at - from);
	text = arena_take(p->tree, *len + 1);
	memcpy(text, from, *len);
	text[*len] = '\0';
	p->at += *len + 2;
	return text;
}

static bool plain_number(json_int_t *number, struct json_pieces *p)
{
	enum { FEW = 9 }; /* digits: no overflow */
	size_t at = p->at;

	*number = 0;
	for (; at < p->len && at - p->at < FEW && p->text[at] >= '0' && p->text[at] <= '9'; at++)
		*number = 10 * *number + p->text[at] - '0';
	if (*number == 0 || p->text[p->at] == '0' || at == p->len ||
	    (!is_blank(p->text[at]) && !memchr(",}]", p->text[at], 3)))
		return false;
	p->at = at;
	return true;
}

static bool read_scalar(struct json_value *value, struct json_pieces *p)
{
	char first = next_char(p);

	*value = (struct json_value){0};
	if (first == '"')
		value->text = plain_text(&value->len, p);
	return value->text || plain_number(&value->number, p) || read_by_library(value, p);
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
	member->key = next_char(p) == '"' ? plain_text(&member->len, p) : NULL;
	return member->key && json_pieces_take(p, ':') && next_char(p) != '{' &&
	       read_scalar(&member->value, p);
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

	p->broken |= next_char(p) != '"' || !json_piece(&key, p) || strlen(key.text) != key.len;
	if (p->broken)
		return "";
	p->broken = !json_pieces_take(p, ':');
	return arena_strndup(a, key.text, key.len);
}

bool json_pieces_end(struct json_pieces *p)
{
	return !p->broken && next_char(p) == '\0' && p->at == p->len;
}
