/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other people's text: names, comments, answers, arguments. Everything that is written for people
 * or to a log goes through here, because a terminal obeys escape sequences, direction marks change
 * what a page shows, and a newline would begin a second line in a log. Escaped as in JSON
 * ("\u001b"), and as "\xff" where it is not UTF-8.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

/* Length in bytes of the UTF-8 character at s; 0: it is not UTF-8 (RFC 3629). */
size_t utf8_len(const char *s);
/*
 * The code point of the character of len bytes at s if it must be escaped, otherwise 0. Escaped are
 * C0 and C1 controls, DEL, and what ends a line or changes its direction (U+061C, U+200E and F,
 * U+2028 to U+202E, U+2066 to U+2069).
 */
uint32_t unprintable(const char *s, size_t len);

/* Appends it on one line. */
void buf_foreign(struct buf *b, const char *text);
/*
 * Appends a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD; what a terminal
 * would obey is escaped.
 */
void buf_json_string(struct buf *b, const char *text);
/* `, "key": "value"`, with what stands before it. */
void buf_json_member(struct buf *b, const char *before, const char *key, const char *value);
/* printf, and a newline. */
void buf_line(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Ends a line that was begun when b->len was `start`: escapes what must not be printed in it. */
void buf_end_line(struct buf *b, size_t start);
/* Escapes a page of ours that contains other people's text; newlines and tabs are kept. */
void buf_foreign_page(struct buf *b, const char *text, size_t len);
/* The text itself if nothing in it needs escaping. */
const char *foreign_line(struct arena *a, const char *text);
