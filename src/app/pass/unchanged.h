/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If nothing changed since the last converged pass, compile and diff are skipped. The inputs of a
 * pass are the file, the engine's answers, the facts of the host,
 * the count of its nf_tables transactions, and namespaces from which no change was heard.
 */
#pragma once

#include "app/pass/pass.h"

/* Of all inputs but the file, after observe_host. 0: some can't be told so cheaply. */
uint64_t unchanged_stamp(const struct pass *p, const struct world *w);
/* True: this pass is done; it has the findings of the converged one and no steps. */
bool unchanged_take(struct pass *p, struct world *w);
/* After a whole pass. */
void unchanged_remember(struct world *w, const struct pass *p);
