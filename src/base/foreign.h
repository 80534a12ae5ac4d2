/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that others wrote: names, comments, answers, arguments. Whatever is written for people or
 * for a log goes through here, for a terminal obeys escape sequences, a page shows what direction
 * marks tell it to, and a newline makes a second line of a log. Escaped as JSON does it ("\u001b"),
 * and "\xff" where it is no UTF-8.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

/* The character at s: its length in bytes, 0 where there is none in UTF-8 (RFC 3629). */
size_t utf8_len(const char *s);
/*
 * The number of the character of len bytes at s where it is not to be printed, else 0: C0 and C1
 * controls, DEL, and what ends a line or turns its direction (U+061C, U+200E and F, U+2028 to
 * U+202E, U+2066 to U+2069).
 */
uint32_t unprintable(const char *s, size_t len);

/* On one line. */
void buf_foreign(struct buf *b, const char *text);
/*
 * A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD, what a terminal would obey
 * is escaped.
 */
void buf_json_string(struct buf *b, const char *text);
/* printf's, and a newline behind it. */
void buf_line(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* What was added since b->len was `start` is one line: what must not be printed of it is escaped.
 */
void buf_end_line(struct buf *b, size_t start);
/* A page of ours with text of others in it: newlines and tabs are ours. */
void buf_foreign_page(struct buf *b, const char *text, size_t len);
/* The text itself where nothing in it needs escaping. */
const char *foreign_line(struct arena *a, const char *text);
