/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ends live connections that the rules no longer admit. conntrack keeps an admitted connection
 * alive whatever the rules say now. A connection that must end is remembered (owed) until it has
 * ended, over as many passes as that takes.
 */
#pragma once

#include "app/pass/pass.h"

/* Before the first step: the rules in place say what has been admitted so far. */
void connections_note(struct pass *p, struct world *w);
/* Steps were taken without it: the next pass looks at every connection. */
void connections_doubt(const struct world *w);
/* After the last step. */
void connections_settle(struct pass *p, struct world *w);
