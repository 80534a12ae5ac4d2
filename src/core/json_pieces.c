/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/json_pieces.h"

#include <string.h>

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

bool json_piece(struct json_value *value, struct json_pieces *p)
{
	json_error_t error;
	const json_t *json;

	arena_reset(p->tree);
	if (p->broken)
		return false;
	json = json_loadb(p->text + p->at, p->len - p->at,
			  p->flags | JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
	p->broken = !json;
	if (json) /* on success, as it is documented, the number of bytes read */
		p->at += (size_t)error.position;
	*value = json_value_of(json);
	return json;
}

const char *json_pieces_key(struct json_pieces *p, struct arena *a)
{
	struct json_value key;

	if (next_char(p) == '"' && json_piece(&key, p) && strlen(key.text) == key.len &&
	    json_pieces_take(p, ':'))
		return arena_strdup(a, key.text);
	p->broken = true;
	return NULL;
}

bool json_pieces_end(struct json_pieces *p)
{
	return !p->broken && next_char(p) == '\0' && p->at == p->len;
}
