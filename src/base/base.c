/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scope guards, the clock, and the heap that never fails. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20 };

void close_at_exit_of_scope(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void free_at_exit_of_scope(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

void out_of_memory(void)
{
	fputs("harborwall: out of memory\n", stderr);
	abort();
}

int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
	return clock_us() / 1000;
}

int64_t clock_boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A large block is filled at once; with small pages, page faults take a third of that time. */
static void ask_huge_pages(void *block, size_t size)
{
	uintptr_t first = ((uintptr_t)block + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
	uintptr_t end = ((uintptr_t)block + size) & ~(uintptr_t)(HUGE_PAGE - 1);

	if (first < end)
		madvise((void *)first, end - first, MADV_HUGEPAGE);
}

void *xmalloc(size_t size)
{
	return xrealloc(NULL, size);
}

void *xrealloc(void *block, size_t size)
{
	void *p = realloc(block, size ? size : 1);

	if (!p)
		out_of_memory();
	if (size >= 2 * (size_t)HUGE_PAGE)
		ask_huge_pages(p, size);
	return p;
}

int text_order(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

bool text_lists(const char *list, char separator, const char *item)
{
	const char separators[] = {separator, '\0'};
	size_t len = strlen(item);

	while (*list) {
		size_t n = strcspn(list, separators);

		if (n == len && !memcmp(list, item, len))
			return true;
		list += n + (list[n] == separator);
	}
	return false;
}
