/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xorshift64: the same stories for the same seed, whatever the C library. */
#pragma once

#include <stdint.h>

static uint64_t seed;

static inline uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % n;
}
