/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces that policies name. One that is not there makes its policies inactive and is no error:
 * a tunnel may come later. A typo looks the same, so it is said. Pure.
 */
#pragma once

#include "core/compile/findings.h"
#include "core/plan/observed.h"
#include "core/ruleset/flows.h"

/* Those that the translations of a namespace name, each once. */
void interfaces_named(name_list *names, struct arena *a, const struct flows *flows);
/* A note for each that was looked for and is not there. */
void interfaces_note(struct findings *findings, struct arena *a, const struct state *want,
		     const struct observed *seen);
