/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tools that any program could use. This header has what every file needs: attributes, scope
 * guards, array sizes.
 *
 * In this room:
 *     base.h                                the smallest tools
 *     arena.h, buf.h                        memory: arenas and lists in them, growing texts
 *     error.h                               errors, about the world
 *     diag.h                                diagnostics, about the user's file
 *     ip.h                                  addresses, prefixes, protocols
 *     hash.h, hash_index.h, hash_set.h      hashes and tables by hash
 *     order.h                               sorting records by their bytes
 *     nearest.h                             "did you mean"
 *     foreign.h                             other people's text, made safe to print
 *     log.h                                 the log
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK		__attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define UNUSED			__attribute__((unused))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* "No index": records refer to each other by position in their array. */
#define NONE UINT32_MAX

void close_at_exit_of_scope(int *fd);
void free_at_exit_of_scope(void *pointer_to_pointer);

/* Closes or frees at the end of the scope. */
#define AUTO_CLOSE __attribute__((cleanup(close_at_exit_of_scope)))
#define AUTO_FREE  __attribute__((cleanup(free_at_exit_of_scope)))

/* Sorts an array of texts with qsort(3), and finds one with bsearch(3). */
int text_order(const void *left, const void *right);
/* The list "br-a:br-b", separated by ':', contains "br-b". */
bool text_lists(const char *list, char separator, const char *item);

/*
 * Of n sorted things the index of the first one that is not before what is sought, n if all are:
 * first_not_before(n, i, strcmp(names[i], name) < 0).
 */
#define first_not_before(n, i, is_before)                                                          \
	__extension__({                                                                            \
		uint32_t low_ = 0, high_ = (n);                                                    \
                                                                                                   \
		while (low_ < high_) {                                                             \
			uint32_t i = low_ + (high_ - low_) / 2;                                    \
                                                                                                   \
			if (is_before)                                                             \
				low_ = i + 1;                                                      \
			else                                                                       \
				high_ = i;                                                         \
		}                                                                                  \
		low_;                                                                              \
	})

/* CLOCK_MONOTONIC. */
int64_t clock_us(void);
int64_t clock_ms(void);
/* CLOCK_BOOTTIME: goes on while the host sleeps; nobody can set it. */
int64_t clock_boot_ms(void);

/* These abort if there is no memory. */
_Noreturn void out_of_memory(void);
void *xmalloc(size_t size);
void *xrealloc(void *block, size_t size);
