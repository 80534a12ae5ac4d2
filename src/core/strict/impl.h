/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What strict.c and watched.c share. */
#pragma once

#include "core/strict/strict.h"

#define OPENED "opened" /* the chain of what policies let this host begin there */

/* all, closed: names of the sets of their bridges, and of those that this host begins nothing into.
 */
void build_bridge_sets(struct builder *b, const char *all, const char *closed,
		       const sealed_list *networks);
/* The set of what programs of this host serve for their containers. */
void build_published(struct builder *b, const char *name, const sealed_list *networks);
