/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A growing run of bytes on the heap, always followed by a NUL. All-zero is empty. */
#pragma once

#include "base/base.h"

struct buf {
	char *data; /* NULL while empty */
	size_t len, cap;
};

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* The slow path of buf_take: room for len more bytes and their NUL. */
void buf_grow(struct buf *b, size_t len);

/* Adds len bytes, which the caller must write, and returns where they begin. */
static inline void *buf_take(struct buf *b, size_t len)
{
	char *start;

	if (b->cap - b->len < len + 1)
		buf_grow(b, len);
	start = b->data + b->len;
	b->len += len;
	b->data[b->len] = '\0';
	return start;
}

/* Makes room for len more bytes. */
void buf_reserve(struct buf *b, size_t len);
/* Shortens it to its first len bytes. */
void buf_cut(struct buf *b, size_t len);
/* Empties it, but keeps the memory. */
void buf_clear(struct buf *b);
void buf_free(struct buf *b);
/* The text, "" when empty. */
const char *buf_text(const struct buf *b);

#define AUTO_BUF __attribute__((cleanup(buf_free)))
