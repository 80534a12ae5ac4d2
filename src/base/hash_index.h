/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in a list a name stands; of those that bear one name, the first. All-zero is an empty
 * index. It is made with hash_index_names(&x, a, &list), and asked with
 *
 * at = hash_index_find(&x, hash_text(name), i, !strcmp(list.items[i].name, name));
 */
#pragma once

#include "base/arena.h"
#include "base/hash.h"

struct hash_slot {
	uint32_t hash;
	uint32_t place; /* counted from 1; 0: free slot */
};

struct hash_index {
	struct hash_slot *slots;
	uint32_t cap; /* a power of two */
};

/* Makes room for n entries; empty afterwards. */
static inline void hash_index_reserve(struct hash_index *x, struct arena *a, uint32_t n)
{
	x->cap = 8;
	while (x->cap < 2 * n)
		x->cap *= 2;
	x->slots = arena_array(a, struct hash_slot, x->cap);
}

static inline void hash_index_add(struct hash_index *x, uint64_t hash, uint32_t place)
{
	uint64_t at = hash;

	while (x->slots[at & (x->cap - 1)].place)
		at++;
	x->slots[at & (x->cap - 1)] = (struct hash_slot){(uint32_t)(hash >> 32), place + 1};
}

/* Indexes a list whose items have a `name`. */
#define hash_index_names(x, a, list)                                                               \
	do {                                                                                       \
		hash_index_reserve((x), (a), (list)->n);                                           \
		for (uint32_t i_ = 0; i_ < (list)->n; i_++)                                        \
			hash_index_add((x), hash_text((list)->items[i_].name), i_);                \
	} while (0)

/* For a list that grows: call it after each list_add. hash_of_i is the hash of its item i. */
#define hash_index_grow(x, a, list, i, hash_of_i)                                                  \
	do {                                                                                       \
		uint32_t i = (list)->n - 1;                                                        \
                                                                                                   \
		if (2 * (list)->n <= (x)->cap) {                                                   \
			hash_index_add((x), (hash_of_i), i);                                       \
			break;                                                                     \
		}                                                                                  \
		hash_index_reserve((x), (a), 2 * (list)->n);                                       \
		for (i = 0; i < (list)->n; i++)                                                    \
			hash_index_add((x), (hash_of_i), i);                                       \
	} while (0)

/* The index i for which is_it is true; NONE: there is none. */
#define hash_index_find(x, hash_, i, is_it)                                                        \
	__extension__({                                                                            \
		uint64_t hash_of_it_ = (hash_), at_ = hash_of_it_;                                 \
		uint32_t found_ = NONE;                                                            \
                                                                                                   \
		for (; (x)->cap && found_ == NONE; at_++) {                                        \
			const struct hash_slot slot_ = (x)->slots[at_ & ((x)->cap - 1)];           \
			uint32_t i = slot_.place - 1;                                              \
                                                                                                   \
			if (!slot_.place)                                                          \
				break;                                                             \
			if (slot_.hash == (uint32_t)(hash_of_it_ >> 32) && (is_it))                \
				found_ = i;                                                        \
		}                                                                                  \
		found_;                                                                            \
	})
