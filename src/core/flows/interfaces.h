/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of interfaces' names: filled, sorted once, asked often. */
#pragma once

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

typedef LIST(const char *) interfaces;

static inline int interfaces_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline void interfaces_sort(interfaces *names)
{
	if (names->n)
		qsort(names->items, names->n, sizeof(const char *), interfaces_compare);
}

static inline bool interfaces_have(const interfaces *sorted, const char *name)
{
	return sorted->n &&
	       bsearch(&name, sorted->items, sorted->n, sizeof(const char *), interfaces_compare);
}
