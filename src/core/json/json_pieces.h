/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A large JSON text (RFC 8259), value by value: the JSON library makes a tree of one value, not of
 * a hundred thousand policies, so that the tree stays in the cache and its memory is used again and
 * again. Read here are the brackets, keys, colons and commas of the outer levels and what is plain:
 * texts of ASCII without escapes, whole numbers, objects of such. Everything else is the library's,
 * and what is not as it should be is only noticed: reading the text as a whole says why.
 */
#pragma once

#include "base/arena.h"
#include "core/json/json_value.h"

struct json_pieces {
	const char *at, *end; /* of what is left */
	size_t flags;	      /* the library's, for every value */
	struct arena *tree;   /* of the value at hand; empty again with every json_piece */
	bool broken;	      /* no JSON, as far as it was read */
};

/* The next character that counts is this one, and is taken. */
bool json_pieces_take(struct json_pieces *p, char wanted);
/* Behind an opening bracket or a value: is there another one before the closing bracket? */
bool json_pieces_more(struct json_pieces *p, char close, bool first);
/* The key of the next member, and its colon; "" if it is broken. Lives in a. */
const char *json_pieces_key(struct json_pieces *p, struct arena *a);
/* The next value, good until the next call; false if it is broken. */
bool json_piece(struct json_value *value, struct json_pieces *p);
/* Nothing but blanks is left. */
bool json_pieces_end(struct json_pieces *p);
