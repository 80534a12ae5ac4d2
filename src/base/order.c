/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A radix sort, from the last byte to the first. A byte that is equal in all records costs one pass
 * and no move.
 */
#include "base/order.h"

#include <string.h>

enum { DIGITS = 256 };

/* Counting sort by one byte. It is stable, so sorting by each byte in turn sorts by all of them. */
static void sort_by_byte(uint32_t *to, const uint32_t *from, uint32_t n, const uint8_t *bytes,
			 size_t stride, uint32_t starts[DIGITS])
{
	uint32_t before = 0;

	for (uint32_t digit = 0; digit < DIGITS; digit++) {
		uint32_t here = starts[digit];

		starts[digit] = before;
		before += here;
	}
	for (uint32_t i = 0; i < n; i++)
		to[starts[bytes[from[i] * stride]]++] = from[i];
}

uint32_t *order_by_bytes(struct arena *a, const void *records, uint32_t n, size_t stride,
			 size_t len)
{
	uint32_t *order = arena_take(a, n * sizeof(*order));
	uint32_t *spare = arena_take(a, n * sizeof(*spare)), *swap;

	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t at = len; n && at-- > 0;) {
		const uint8_t *bytes = (const uint8_t *)records + at;
		uint32_t counts[DIGITS] = {0};

		for (uint32_t i = 0; i < n; i++)
			counts[bytes[i * stride]]++;
		if (counts[bytes[0]] == n)
			continue;
		sort_by_byte(spare, order, n, bytes, stride, counts);
		swap = order;
		order = spare;
		spare = swap;
	}
	return order;
}
