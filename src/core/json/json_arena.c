/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/json/json_arena.h"

#include <jansson.h>
#include <stdlib.h>

static struct arena *current; /* the library's hooks have no argument for it; one thread */

static void *take(size_t size)
{
	return arena_take(current, size);
}

static void give_back(void *block UNUSED)
{
}

void json_arena_begin(struct arena *a)
{
	current = a;
	json_set_alloc_funcs(take, give_back);
}

void json_arena_end(void)
{
	current = NULL;
	json_set_alloc_funcs(malloc, free);
}
