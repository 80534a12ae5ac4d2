/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set that only answers whether it has heard a number before. All-zero is empty. */
#pragma once

#include "base/arena.h"

struct seen {
	uint64_t *slots; /* open hash table; 0: free */
	uint32_t n, cap;
};

/* Remembers the key. Keys are hashes, or are spread by one in here. */
bool seen_before(struct seen *s, struct arena *a, uint64_t key);
