/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After a change of a few policies their part of the host's table is put right first, and the whole
 * is compiled and compared in the pass behind it: what was changed is enforced at once, however
 * many policies there are.
 */
#pragma once

#include "app/pass/pass.h"

/* True: that is planned. Else the pass is to be a whole one. */
bool amending_take(struct pass *p, struct world *w, const struct generation *g);
