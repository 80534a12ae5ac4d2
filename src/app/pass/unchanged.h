/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If nothing changed since the last converged pass, compile and diff are skipped. The inputs of a
 * pass are the file, the engine's answers, the facts of the host,
 * the count of its nf_tables transactions, and namespaces from which no change was heard.
 */
#pragma once

#include "app/pass/pass.h"

/* Hash of all inputs but the file, after observe_host. 0: some inputs can't be hashed cheaply. */
uint64_t unchanged_stamp(const struct pass *p, const struct world *w);
/* True: this pass is done. It has the findings of the converged pass and no steps. */
bool unchanged_take(struct pass *p, struct world *w);
/* After a complete pass. */
void unchanged_remember(struct world *w, const struct pass *p);
