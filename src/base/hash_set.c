/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/hash_set.h"

#include "base/hash.h"

static uint64_t *slot_of(const struct hash_set *s, uint64_t key)
{
	uint64_t i = hash_word(HASH_START, key);

	while (s->slots[i & (s->cap - 1)] && s->slots[i & (s->cap - 1)] != key)
		i++;
	return &s->slots[i & (s->cap - 1)];
}

static void grow(struct hash_set *s, struct arena *a)
{
	const struct hash_set old = *s;

	s->cap = old.cap ? 2 * old.cap : 64;
	s->slots = arena_array(a, uint64_t, s->cap);
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.slots[i])
			*slot_of(s, old.slots[i]) = old.slots[i];
}

bool hash_set_has_or_add(struct hash_set *s, struct arena *a, uint64_t key)
{
	uint64_t *slot;

	key = key ? key : UINT64_MAX; /* 0 marks a free slot */
	if (2 * s->n >= s->cap)
		grow(s, a);
	slot = slot_of(s, key);
	if (*slot)
		return true;
	*slot = key;
	s->n++;
	return false;
}
