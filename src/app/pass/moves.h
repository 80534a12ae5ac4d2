/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections and networks that are taken away to be made again, otherwise. What they were is read
 * and written down (saved.h) before the first of them goes, so that neither the end of this program
 * nor the engine's loses it: what can't be made as it is wanted is made as it was, and what can't
 * be made at all is made by the next pass.
 */
#pragma once

#include "app/pass/pass.h"

/* Before the steps. A step whose past can't be read or written fails, and what depends on it. */
void moves_write_down(struct pass *p, struct world *w);
/* Two kinds of steps. */
MUST_CHECK bool moves_connect(struct world *w, const struct step *step, struct error *err);
MUST_CHECK bool moves_create(struct world *w, const struct step *step, struct error *err);
/* After the steps: what stands is forgotten. */
void moves_settle(struct pass *p, struct world *w);

/* What the engine refused is not tried again for a while, for every try disconnects a container. */
void refusals_forget(struct world *w);
void refusals_expire(struct world *w);
