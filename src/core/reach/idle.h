/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies that change nothing, by all flows of the file. Pure. */
#pragma once

#include "core/reach/reach.h"
#include "core/resolve/idle.h"

/*
 * Finds the policies whose flows earlier ones have, together if need be, and those that no packet
 * is about. A translation may be covered by any one that comes first in the chain. Left out is what
 * depends on the engine: translations whose `name` the file does not know. The first IDLE_SHOWN are
 * found with those that cover them.
 */
void reach_idle(struct idle_list *idle, struct arena *a, const struct reach *reach);
