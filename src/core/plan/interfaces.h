/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces that policies name. A missing one makes its policies inactive and is no error, because
 * a tunnel may come later. A typo looks the same, so it is noted. Pure.
 */
#pragma once

#include "core/flows/flows.h"
#include "core/plan/observed.h"
#include "core/state/findings.h"

/* The interfaces named by a namespace's translations, each once. */
void interfaces_named(name_list *names, struct arena *a, const struct flows *flows);
/* Adds a note for each that is missing. */
void interfaces_note(struct findings *findings, struct arena *a, const struct state *want,
		     const struct observed *seen);
