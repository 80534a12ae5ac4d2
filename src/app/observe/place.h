/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether this process is in the engine's network namespace. In any other one our rules have no
 * effect.
 */
#pragma once

#include "app/observe/observe.h"
#include "core/plan/choose.h"

enum { ELSEWHERE = -3 }; /* err->code of what is refused for this */

/* Call it after the engine and the host's addresses were read. */
MUST_CHECK bool place_find(enum whereabouts *where, const struct view *view, struct arena *a,
			   const struct world *w, struct error *err);
/* Refuses, or notes in the facts that it is uncertain. */
MUST_CHECK bool place_accept(struct view *view, struct arena *a, const struct world *w,
			     enum whereabouts where, struct error *err);
