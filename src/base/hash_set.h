/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of numbers. All-zero is empty. */
#pragma once

#include "base/arena.h"

struct hash_set {
	uint64_t *slots; /* open hash table; 0: free */
	uint32_t n, cap;
};

/* Adds the key. True if it was in the set already. Keys need not be hashes. */
bool hash_set_has_or_add(struct hash_set *s, struct arena *a, uint64_t key);
