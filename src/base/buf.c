/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing bytes, and the one place that quotes a JSON string. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void grow(struct buf *b, size_t cap)
{
	b->data = xrealloc(b->data, cap);
	b->cap = cap;
}

void buf_reserve(struct buf *b, size_t len)
{
	if (b->cap - b->len < len + 1)
		grow(b, b->len + len + 1);
}

void buf_grow(struct buf *b, size_t len)
{
	size_t cap = b->cap ? b->cap * 2 : 256;

	while (cap - b->len < len + 1)
		cap *= 2;
	grow(b, cap);
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	char *room = buf_take(b, len);

	if (len)
		memcpy(room, bytes, len);
}

void buf_puts(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	if (len > 0)
		vsnprintf(buf_take(b, (size_t)len), (size_t)len + 1, format, again);
	va_end(again);
	va_end(args);
}

void buf_cut(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->data[len] = '\0';
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}
