/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A radix sort, from the last digit to the first. Most records differ in a few bits only: those are
 * packed into numbers, so that there are few digits and a pass reads memory in its order.
 */
#include "base/order.h"

#include <string.h>

enum { WORD = 64, CLOSE = 8, FEW = 4096, MOST_DIGITS = 1 << 11 };

/* Bits of the eight bytes at `at` that stand together: width of them, shift above the lowest. */
struct piece {
	uint32_t at, shift, width;
};

struct item {
	uint64_t key;
	uint32_t index;
};

struct sorting {
	const uint8_t *records;
	size_t stride, len;
	LIST(struct piece) pieces;
	struct item *items, *spare;
	uint32_t n;
};

/* A number that compares as the bytes do. Shorter records are filled with zeros. */
static uint64_t word_at(const struct sorting *s, uint32_t i, size_t at)
{
	uint64_t word = 0;

	if (s->len >= sizeof(word)) /* of known size: no call */
		memcpy(&word, s->records + i * s->stride + at, sizeof(word));
	else
		memcpy(&word, s->records + i * s->stride, s->len);
	return __builtin_bswap64(word);
}

/* Where bits of a word differ, from its first bit on. What is close to each other is one piece. */
static void add_pieces(struct sorting *s, struct arena *a, size_t at, uint64_t bits)
{
	struct piece *last = NULL;

	for (uint32_t shift = WORD; shift--;) {
		if (!(bits >> shift & 1))
			continue;
		if (last && last->shift - shift <= CLOSE) {
			last->width += last->shift - shift;
			last->shift = shift;
		} else {
			last = list_add(a, &s->pieces);
			*last = (struct piece){(uint32_t)at, shift, 1};
		}
	}
}

/* The bits in which any two records differ: all the others need no sorting. */
static void find_pieces(struct sorting *s, struct arena *a)
{
	for (size_t done = 0; done < s->len;) {
		size_t rest = s->len - done, word = sizeof(uint64_t);
		/* the last eight bytes may hold some that were looked at */
		size_t at = rest >= word || s->len < word ? done : s->len - word;
		uint64_t first = word_at(s, 0, at), bits = 0;

		for (uint32_t i = 1; i < s->n; i++)
			bits |= word_at(s, i, at) ^ first;
		if (at < done)
			bits &= UINT64_MAX >> 8 * (done - at);
		add_pieces(s, a, at, bits);
		done = at + word;
	}
}

/* Keys of as many pieces before `end` as fit one. Returns where they begin, and their bits. */
static uint32_t take_keys(struct sorting *s, uint32_t end, uint32_t *bits)
{
	uint32_t begin = end;

	*bits = 0;
	while (begin && *bits + s->pieces.items[begin - 1].width <= WORD)
		*bits += s->pieces.items[--begin].width;
	for (uint32_t i = 0; i < s->n; i++)
		s->items[i].key = 0;
	for (uint32_t p = begin; p < end; p++) {
		const struct piece piece = s->pieces.items[p];
		uint64_t mask = UINT64_MAX >> (WORD - piece.width);

		for (uint32_t i = 0; i < s->n; i++) {
			struct item *item = &s->items[i];
			uint64_t here = word_at(s, item->index, piece.at) >> piece.shift & mask;

			item->key = (piece.width < WORD ? item->key << piece.width : 0) | here;
		}
	}
	return begin;
}

/* One pass by counting: it keeps the order of equals, so that passes over all digits sort. */
static void sort_by_digit(struct sorting *s, uint32_t shift, uint32_t n_digits)
{
	uint32_t starts[MOST_DIGITS], before = 0;
	struct item *items = s->items;

	memset(starts, 0, n_digits * sizeof(*starts));
	for (uint32_t i = 0; i < s->n; i++)
		starts[items[i].key >> shift & (n_digits - 1)]++;
	for (uint32_t i = 0; i < n_digits; i++) {
		uint32_t here = starts[i];

		starts[i] = before;
		before += here;
	}
	for (uint32_t i = 0; i < s->n; i++)
		s->spare[starts[items[i].key >> shift & (n_digits - 1)]++] = items[i];
	s->items = s->spare;
	s->spare = items;
}

uint32_t *order_by_bytes(struct arena *a, const void *records, uint32_t n, size_t stride,
			 size_t len)
{
	struct sorting s = {.records = records,
			    .stride = stride,
			    .len = len,
			    .items = arena_take(a, n * sizeof(struct item)),
			    .spare = arena_take(a, n * sizeof(struct item)),
			    .n = n};
	uint32_t *order = arena_take(a, n * sizeof(*order));
	uint32_t digit = n < FEW ? 8 : 11, bits;

	if (n)
		find_pieces(&s, a);
	for (uint32_t i = 0; i < n; i++)
		s.items[i].index = i;
	for (uint32_t end = s.pieces.n; end;) {
		end = take_keys(&s, end, &bits);
		for (uint32_t shift = 0; shift < bits; shift += digit)
			sort_by_digit(&s, shift, 1U << digit);
	}
	for (uint32_t i = 0; i < n; i++)
		order[i] = s.items[i].index;
	return order;
}
