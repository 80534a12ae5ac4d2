/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file, the engine's view and the facts of the host become the wanted state. Pure: the same
 * input gives the same state, in the same order.
 *
 * In this room:
 *     compile.h                      the whole
 *     nodes.h                        containers as they will be
 *     routes.h                       routes that are wanted
 *     trust.h, drops.h, firewalld.h  policies that Docker >= 29 or firewalld stops
 *     impl.h                         what the parts share
 */
#pragma once

#include "core/resolve/resolve.h"
#include "core/state/facts.h"
#include "core/state/findings.h"
#include "core/state/state.h"

void compile(struct state *want, struct findings *findings, struct arena *a,
	     const struct config *config, const struct resolution *resolution,
	     const struct engine *engine, const struct facts *facts);
