/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether we are in the engine's network namespace: in any other one no rule of ours is in force.
 */
#pragma once

#include "app/pass/observe.h"
#include "core/plan/choose.h"

enum { ELSEWHERE = -3 }; /* err->code of what is refused for this */

/* After the engine and the host's addresses were read. */
MUST_CHECK bool place_find(enum whereabouts *where, const struct view *view, struct arena *a,
			   const struct world *w, struct error *err);
/* Refuses, or says in the facts what is not certain. */
MUST_CHECK bool place_accept(struct view *view, struct arena *a, const struct world *w,
			     enum whereabouts where, struct error *err);
