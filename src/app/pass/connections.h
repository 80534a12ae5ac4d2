/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was admitted lives on in conntrack, whatever the rules say now: what they took away is owed
 * until its connections have ended, however many passes that takes.
 */
#pragma once

#include "app/pass/pass.h"

/* Before the first step: what stands is what was admitted so far. */
void connections_note(struct pass *p, struct world *w);
/* Behind the last one. */
void connections_settle(struct pass *p, struct world *w);
