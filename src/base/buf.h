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
/* Makes room for len more zero bytes, counts them in, and returns where they start. */
void *buf_extend(struct buf *b, size_t len);
/* Room for len more bytes without another growth. */
void buf_reserve(struct buf *b, size_t len);
/* Takes it back to its first len bytes. */
void buf_cut(struct buf *b, size_t len);
/* Empties, keeping the memory. */
void buf_clear(struct buf *b);
void buf_free(struct buf *b);
/* The text, "" when empty. */
const char *buf_text(const struct buf *b);

/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void buf_json_string(struct buf *b, const char *text);

#define AUTO_BUF __attribute__((cleanup(buf_free)))
