/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file, the engine's view and the facts of the host become the wanted state. Pure: the same
 * input gives the same state, in the same order.
 */
#pragma once

#include "core/compile/facts.h"
#include "core/compile/findings.h"
#include "core/compile/state.h"
#include "core/resolve/resolve.h"

void compile(struct state *want, struct findings *findings, struct arena *a,
	     const struct config *config, const struct resolution *resolution,
	     const struct engine *engine, const struct facts *facts);
