/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bump allocation in blocks that grow up to a bound; the large ones are pages of their own. */
#include "base/arena.h"

#include "base/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	size_t size;	    /* of bytes */
	unsigned char *end; /* of what is used, once there is a newer one */
	_Alignas(ARENA_ALIGN) unsigned char bytes[];
};

/* Of whole blocks: from the heap at first, from then on pages. */
enum { FIRST_BLOCK = 1 << 10, PAGED = 64 << 10, LARGEST_BLOCK = 2 << 20 };

static struct arena_block *block_new(size_t least, size_t size, bool *zeroed)
{
	struct arena_block *b = size < PAGED
					? xmalloc(size)
					: pages_take(least < PAGED ? PAGED : least, &size, zeroed);

	b->size = size - sizeof(*b);
	return b;
}

static void block_free(struct arena_block *b)
{
	size_t size = sizeof(*b) + b->size;

	if (size < PAGED)
		free(b);
	else
		pages_give(b, size);
}

void arena_grow(struct arena *a, size_t need)
{
	size_t size = a->blocks ? (sizeof(*a->blocks) + a->blocks->size) * 2 : FIRST_BLOCK;
	struct arena_block *b;
	bool zeroed = false;

	if (size > LARGEST_BLOCK)
		size = LARGEST_BLOCK;
	if (size < sizeof(*b) + need)
		size = sizeof(*b) + need;
	b = block_new(sizeof(*b) + need, size, &zeroed);
	if (a->blocks)
		a->blocks->end = a->at;
	b->next = a->blocks;
	a->blocks = b;
	a->at = b->bytes;
	a->end = b->bytes + b->size;
	a->zeroed = zeroed ? b->bytes : a->end;
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
	if (a->zeroed < a->at)
		a->zeroed = a->at;
	a->at = a->blocks->bytes;
}

void arena_let_go(const struct arena *a)
{
	for (struct arena_block *b = a->blocks; b; b = b->next) {
		const unsigned char *end = b == a->blocks ? a->at : b->end;

		if (sizeof(*b) + b->size >= PAGED)
			pages_let_go(b, sizeof(*b) + b->size, (size_t)(end - (unsigned char *)b));
	}
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
