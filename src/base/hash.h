/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One hash, for tables and for noticing that bytes changed. Not for security: somebody who can
 * write the file can write any policy anyway.
 */
#pragma once

#include "base/base.h"

#include <string.h>

#define HASH_START 0xcbf29ce484222325 /* FNV-1a, with words instead of bytes */

static inline uint64_t hash_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9fb21c651e98df25;
	return hash ^ hash >> 32;
}

static inline uint64_t hash_more(uint64_t hash, const void *bytes, size_t len)
{
	const char *at = bytes;
	uint64_t word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = hash_word(hash, word);
	}
	word = len; /* "a" and "a\0" must differ */
	for (; len; at++, len--)
		word = word << 8 | (uint8_t)*at;
	return hash_word(hash, word);
}

static inline uint64_t hash_bytes(const void *bytes, size_t len)
{
	return hash_more(HASH_START, bytes, len);
}

static inline uint64_t hash_text(const char *text)
{
	return hash_bytes(text, strlen(text));
}

/*
 * Hash of a whole file, block by block. The last block is shorter than the others, and may be
 * empty.
 */
enum { HASH_BLOCK = 64 << 10 };

static inline uint64_t hash_large(const void *bytes, size_t len)
{
	const char *at = bytes;
	uint64_t hash = HASH_START;

	for (; len >= HASH_BLOCK; at += HASH_BLOCK, len -= HASH_BLOCK)
		hash = hash_word(hash, hash_bytes(at, HASH_BLOCK));
	return hash_word(hash, hash_bytes(at, len));
}
