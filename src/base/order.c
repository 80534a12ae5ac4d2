/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A radix sort, from the last byte to the first. Most records differ in a few bytes only: those are
 * packed into numbers, eight at a time, so that a pass reads memory in its order.
 */
#include "base/order.h"

#include <string.h>

struct item {
	uint64_t key;
	uint32_t index;
};

struct sorting {
	struct item *items, *spare;
	uint32_t n;
};

/* Where records differ from the first one, in the eight bytes at `at`, or in the one there. */
static uint64_t differing_bits(const uint8_t *at, uint32_t n, size_t stride, bool eight)
{
	uint64_t first = 0, other = 0, any = 0;

	memcpy(&first, at, eight ? sizeof(first) : 1);
	for (uint32_t i = 1; i < n; i++) {
		if (eight)
			memcpy(&other, at + i * stride, sizeof(other));
		else
			memcpy(&other, at + i * stride, 1);
		any |= other ^ first;
	}
	return any;
}

/* The bytes of the records in which any two differ: all the others need no sorting. */
static uint32_t differing_bytes(uint16_t *bytes, const uint8_t *records, uint32_t n, size_t stride,
				size_t len)
{
	uint32_t found = 0;

	for (size_t at = 0, step; at < len; at += step) {
		bool eight = len - at >= sizeof(uint64_t);
		uint64_t bits = differing_bits(records + at, n, stride, eight);
		uint8_t differs[sizeof(bits)];

		memcpy(differs, &bits, sizeof(bits));
		step = eight ? sizeof(bits) : 1;
		for (size_t k = 0; k < step; k++)
			if (differs[k])
				bytes[found++] = (uint16_t)(at + k);
	}
	return found;
}

static void take_keys(struct sorting *s, const uint8_t *records, size_t stride,
		      const uint16_t *bytes, uint32_t n_bytes)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const uint8_t *record = records + s->items[i].index * stride;
		uint64_t key = 0;

		for (uint32_t k = 0; k < n_bytes; k++)
			key = key << 8 | record[bytes[k]];
		s->items[i].key = key;
	}
}

/* One pass by counting: it keeps the order of equals, so that passes over all bytes sort. */
static void sort_by_byte(struct sorting *s, uint32_t shift)
{
	uint32_t starts[256] = {0}, before = 0;
	struct item *items = s->items;

	for (uint32_t i = 0; i < s->n; i++)
		starts[items[i].key >> shift & 255]++;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t here = starts[i];

		starts[i] = before;
		before += here;
	}
	for (uint32_t i = 0; i < s->n; i++)
		s->spare[starts[items[i].key >> shift & 255]++] = items[i];
	s->items = s->spare;
	s->spare = items;
}

uint32_t *order_by_bytes(struct arena *a, const void *records, uint32_t n, size_t stride,
			 size_t len)
{
	struct sorting s = {
		arena_array(a, struct item, n), arena_array(a, struct item, n), n};
	uint32_t *order = arena_array(a, uint32_t, n), n_bytes;
	uint16_t *bytes = arena_array(a, uint16_t, len);

	n_bytes = n ? differing_bytes(bytes, records, n, stride, len) : 0;
	for (uint32_t i = 0; i < n; i++)
		s.items[i].index = i;
	while (n_bytes) {
		uint32_t some = n_bytes < sizeof(uint64_t) ? n_bytes : sizeof(uint64_t);

		n_bytes -= some;
		take_keys(&s, records, stride, bytes + n_bytes, some);
		for (uint32_t k = 0; k < some; k++)
			sort_by_byte(&s, 8 * k);
	}
	for (uint32_t i = 0; i < n; i++)
		order[i] = s.items[i].index;
	return order;
}
