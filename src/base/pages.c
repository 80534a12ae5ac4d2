/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/pages.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4 << 10, HUGE_PAGE = 2 << 20, MOST_KEPT = 128, WASTEFUL = 2 };

struct block {
	unsigned char *start;
	size_t size, used;
};

static struct block kept[MOST_KEPT];
static uint32_t n_kept;

static size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) & ~(to - 1);
}

/* The smallest that is large enough, and not much larger. Zeroed only now: most are never taken
 * again, and what was just zeroed is near the processor. */
static void *take_kept(size_t *size)
{
	struct block *best = NULL;
	void *start;

	for (uint32_t i = 0; i < n_kept; i++)
		if (kept[i].size >= *size && kept[i].size / WASTEFUL <= *size &&
		    (!best || kept[i].size < best->size))
			best = &kept[i];
	if (!best)
		return NULL;
	start = best->start;
	*size = best->size;
	memset(start, 0, best->used);
	*best = kept[--n_kept];
	return start;
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
static void *map_huge(size_t size)
{
	unsigned char *start = map(size + HUGE_PAGE);
	size_t before = round_up((uintptr_t)start, HUGE_PAGE) - (uintptr_t)start;
	unsigned char *block = start + before;

	if (before < HUGE_PAGE)
		munmap(block + size, HUGE_PAGE - before);
	madvise(block, size, MADV_HUGEPAGE);
	if (before)
		munmap(start, before);
	return block;
}

void *pages_take(size_t *size)
{
	void *start;

	*size = round_up(*size, *size < HUGE_PAGE / 2 ? PAGE : HUGE_PAGE);
	start = take_kept(size);
	if (start)
		return start;
	return *size < HUGE_PAGE ? map(*size) : map_huge(*size);
}

void pages_give(void *block, size_t size, size_t used)
{
	if (n_kept == MOST_KEPT) {
		munmap(block, size);
		return;
	}
	kept[n_kept++] = (struct block){block, size, used};
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

	if (there < size)
		madvise((unsigned char *)block + there, size - there, MADV_DONTNEED);
}
