/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The JSON library's memory from an arena. A tree is read once and goes whole, so that nothing of
 * it has to be freed node by node, nor is left scattered over the heap.
 */
#pragma once

#include "base/arena.h"

/* Between the two every tree lives in the arena: what json_decref frees comes back with it. */
void json_arena_begin(struct arena *a);
void json_arena_end(void);
