/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads translations back from the rules of our table, wanted or actual. Pure. */
#pragma once

#include "core/flows/flows.h"
#include "core/ruleset/ruleset.h"

/* Appends them, with the name of the interface that they match. */
void nft_read_translations(struct flows *flows, struct arena *a, const struct ruleset *rs);
