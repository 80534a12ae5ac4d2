/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bump allocation in blocks that grow up to a bound. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	size_t size; /* of bytes */
	_Alignas(ARENA_ALIGN) unsigned char bytes[];
};

enum { FIRST_BLOCK = 1 << 10, LARGEST_BLOCK = 8 << 20 };

void arena_grow(struct arena *a, size_t need)
{
	size_t size = a->blocks ? (sizeof(*a->blocks) + a->blocks->size) * 2 : FIRST_BLOCK;
	struct arena_block *b;

	if (size > LARGEST_BLOCK)
		size = LARGEST_BLOCK;
	if (size < sizeof(*b) + need)
		size = sizeof(*b) + need;
	b = xmalloc(size);
	b->size = size - sizeof(*b);
	b->next = a->blocks;
	a->blocks = b;
	a->at = b->bytes;
	a->end = b->bytes + b->size;
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_take(a, len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return text ? arena_strndup(a, text, strlen(text)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *format, va_list args)
{
	char most[256], *text;
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(most, sizeof(most), format, args);
	text = arena_take(a, (size_t)len + 1);
	if ((size_t)len < sizeof(most))
		memcpy(text, most, (size_t)len + 1);
	else
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	return text;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = arena_vprintf(a, format, args);
	va_end(args);
	return text;
}

/* Frees all blocks but the newest. */
static void release_older(struct arena *a)
{
	while (a->blocks->next) {
		struct arena_block *older = a->blocks->next;

		a->blocks->next = older->next;
		free(older);
	}
}

void arena_release(struct arena *a)
{
	if (!a->blocks)
		return;
	release_older(a);
	free(a->blocks);
	*a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
	if (!a->blocks)
		return;
	release_older(a);
	a->at = a->blocks->bytes;
}

void *list_room(struct arena *a, void *items, uint32_t n, uint32_t *cap, size_t size)
{
	unsigned char *grown;

	*cap = *cap ? *cap * 2 : 4;
	grown = arena_take(a, size * *cap);
	if (n)
		memcpy(grown, items, size * n);
	memset(grown + size * n, 0, size * (*cap - n));
	return grown;
}
