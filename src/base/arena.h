/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is released as a whole. One arena per pass, one per accepted config. Memory is zeroed
 * unless a function says otherwise. An all-zero arena is empty and ready.
 */
#pragma once

#include "base/base.h"

#include <stdarg.h>
#include <string.h>

struct arena_block;

struct arena {
	unsigned char *at, *end;    /* the free part of the newest block */
	struct arena_block *blocks; /* newest first */
};

enum { ARENA_ALIGN = 16 };

/* The slow path of arena_take: a new block. */
void arena_grow(struct arena *a, size_t size);

/* Not zeroed: for memory that is written at once. */
static inline void *arena_take(struct arena *a, size_t size)
{
	unsigned char *p;

	size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if ((size_t)(a->end - a->at) < size || !a->at)
		arena_grow(a, size);
	p = a->at;
	a->at += size;
	return p;
}

static inline void *arena_alloc(struct arena *a, size_t size)
{
	return memset(arena_take(a, size), 0, size);
}

#define arena_new(a, type)	((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t len);
char *arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *a, const char *format, va_list args) PRINTF_LIKE(2, 0);
void arena_release(struct arena *a);
/* Empties the arena, but keeps its newest block. */
void arena_reset(struct arena *a);
#define AUTO_RELEASE __attribute__((cleanup(arena_release)))

/*
 * A growing array in an arena: LIST(struct flow) flows = {0}; *list_add(a, &flows) = flow;
 * list_add gives the address of a new, zeroed item, valid until the next list_add.
 */
#define LIST(type)                                                                                 \
	struct {                                                                                   \
		type *items;                                                                       \
		uint32_t n;                                                                        \
		uint32_t cap;                                                                      \
	}

#define list_add(a, list)                                                                          \
	((list)->items = (list)->n < (list)->cap                                                   \
				 ? (list)->items                                                   \
				 : list_room((a), (list)->items, (list)->n, &(list)->cap,          \
					     sizeof(*(list)->items)),                              \
	 &(list)->items[(list)->n++])

#define list_each(item, list)                                                                      \
	for (__typeof__(*(list)->items) *item = (list)->items; item < (list)->items + (list)->n;   \
	     item++)

/*
 * Room for `more` items in an empty list: if the size is known, the list need not grow. Not zeroed.
 */
#define list_reserve(a, list, more)                                                                \
	((list)->items = arena_take((a), sizeof(*(list)->items) * (size_t)(more)),                 \
	 (list)->cap = (uint32_t)(more))

/* The slow path of list_add: an array of twice the size with the n items copied. */
void *list_room(struct arena *a, void *items, uint32_t n, uint32_t *cap, size_t size);
