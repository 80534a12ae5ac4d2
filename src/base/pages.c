/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/pages.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4 << 10, SMALLEST = 64 << 10, HUGE_PAGE = 2 << 20, PIECES = 2, MOST_KEPT = 128 };

struct block {
	unsigned char *start;
	size_t size;
	bool zeroed;
};

static struct block kept[MOST_KEPT];
static uint32_t n_kept;

static size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) & ~(to - 1);
}

/* 64 KiB, twice that … 1 MiB; what is larger, as it is. */
static size_t rounded(size_t size)
{
	size_t piece = SMALLEST;

	while (piece < size && piece < HUGE_PAGE)
		piece *= PIECES;
	return piece < HUGE_PAGE ? piece : round_up(size, SMALLEST);
}

/* The nearest to what is wanted; one that was in use before one that has to be touched first. */
static bool is_better(const struct block *a, const struct block *b, size_t wanted)
{
	if (a->size == b->size)
		return !a->zeroed && b->zeroed;
	if (a->size >= wanted && b->size >= wanted)
		return a->size < b->size;
	return a->size > b->size;
}

/* Not twice as large. */
static struct block *find_kept(size_t least, size_t wanted)
{
	struct block *best = NULL;

	for (uint32_t i = 0; i < n_kept; i++)
		if (kept[i].size >= least && kept[i].size < 2 * wanted &&
		    (!best || is_better(&kept[i], best, wanted)))
			best = &kept[i];
	return best;
}

static void keep(struct block block)
{
	if (n_kept == MOST_KEPT)
		munmap(block.start, block.size);
	else
		kept[n_kept++] = block;
}

static unsigned char *map(size_t size)
{
	/* cppcheck-suppress invalidFunctionArg ; -1 is what MAP_ANONYMOUS wants */
	void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		out_of_memory();
	return start;
}

/* Huge pages begin where they may: what is mapped before and behind is not kept. */
static struct block map_huge(size_t size)
{
	unsigned char *start = map(size + HUGE_PAGE);
	size_t before = round_up((uintptr_t)start, HUGE_PAGE) - (uintptr_t)start;
	unsigned char *block = start + before;

	if (before < HUGE_PAGE)
		munmap(block + size, HUGE_PAGE - before);
	madvise(block, size, MADV_HUGEPAGE);
	if (before)
		munmap(start, before);
	return (struct block){block, size, true};
}

/* Its beginning; the rest is kept, in pieces of at most this size. */
static struct block cut(struct block whole, size_t size)
{
	for (size_t at = size, piece; at < whole.size; at += piece) {
		piece = whole.size - at < size ? whole.size - at : size;
		keep((struct block){whole.start + at, piece, whole.zeroed});
	}
	whole.size = size;
	return whole;
}

static struct block take(size_t least, size_t size)
{
	struct block *old = find_kept(least, size), whole;
	size_t larger = size * PIECES < HUGE_PAGE ? size * PIECES : HUGE_PAGE;

	if (old) {
		whole = *old;
		*old = kept[--n_kept];
		return whole;
	}
	if (size < HUGE_PAGE)
		return cut(take(larger, larger), size);
	return cut(map_huge(round_up(size, HUGE_PAGE)), size);
}

void *pages_take(size_t least, size_t *size, bool *zeroed)
{
	struct block block = take(least, rounded(*size));

	*size = block.size;
	*zeroed = block.zeroed;
	return block.start;
}

void pages_give(void *block, size_t size)
{
	if (size >= HUGE_PAGE)
		madvise(block, size, MADV_HUGEPAGE); /* it may have let something go */
	keep((struct block){block, size, false});
}

void pages_trim(void)
{
	while (n_kept) {
		n_kept--;
		munmap(kept[n_kept].start, kept[n_kept].size);
	}
}

void pages_let_go(void *block, size_t size, size_t used)
{
	size_t there = round_up(used, PAGE);
	unsigned char *rest = (unsigned char *)block + there;

	if (there >= size)
		return;
	madvise(rest, size - there, MADV_DONTNEED);
	if (size >= HUGE_PAGE) /* or the kernel fills a huge page that is used in part */
		madvise(rest, size - there, MADV_NOHUGEPAGE);
}
