/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bump allocation in blocks that grow up to a bound; the large ones are pages of their own. */
#include "base/arena.h"

#include "base/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	size_t size, used; /* of bytes */
	_Alignas(16) unsigned char bytes[];
};

/* Of whole blocks: from the heap up to the second, from then on pages. */
enum { FIRST_BLOCK = 1 << 10, PAGED = 256 << 10, LARGEST_BLOCK = 2 << 20, ALIGN = 16 };

static struct arena_block *block_new(size_t size)
{
	struct arena_block *b = size < PAGED ? memset(xmalloc(size), 0, size) : pages_take(&size);

	b->size = size - sizeof(*b);
	return b;
}

static void block_free(struct arena_block *b)
{
	size_t size = sizeof(*b) + b->size;

	if (size < PAGED)
		free(b);
	else
		pages_give(b, size, sizeof(*b) + b->used);
}

static void add_block(struct arena *a, size_t need)
{
	size_t size = a->blocks ? (sizeof(*a->blocks) + a->blocks->size) * 4 : FIRST_BLOCK;
	struct arena_block *b;

	if (size > LARGEST_BLOCK)
		size = LARGEST_BLOCK;
	if (size < sizeof(*b) + need)
		size = sizeof(*b) + need;
	b = block_new(size);
	b->next = a->blocks;
	a->blocks = b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p;

	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!a->blocks || a->blocks->size - a->blocks->used < size)
		add_block(a, size);
	p = a->blocks->bytes + a->blocks->used;
	a->blocks->used += size;
	a->used += size;
	return p;
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	memcpy(copy, text, len);
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
	text = arena_alloc(a, (size_t)len + 1);
	if ((size_t)len < sizeof(most))
		memcpy(text, most, (size_t)len);
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

/* Frees what stands behind the newest. */
static void release_older(struct arena *a)
{
	while (a->blocks->next) {
		struct arena_block *older = a->blocks->next;

		a->blocks->next = older->next;
		block_free(older);
	}
}

void arena_release(struct arena *a)
{
	if (!a->blocks)
		return;
	release_older(a);
	block_free(a->blocks);
	*a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
	if (!a->blocks)
		return;
	release_older(a);
	memset(a->blocks->bytes, 0, a->blocks->used);
	a->blocks->used = 0;
	a->used = 0;
}

void arena_let_go(const struct arena *a)
{
	for (struct arena_block *b = a->blocks; b; b = b->next)
		if (sizeof(*b) + b->size >= PAGED)
			pages_let_go(b, sizeof(*b) + b->size, sizeof(*b) + b->used);
}

void *list_room(struct arena *a, void *items, uint32_t n, uint32_t *cap, size_t size)
{
	void *grown;

	*cap = *cap ? *cap * 2 : 4;
	grown = arena_alloc(a, size * *cap);
	if (n)
		memcpy(grown, items, size * n);
	return grown;
}
