/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the translations back from the rules of our table, wanted or actual. Pure. */
#pragma once

#include "core/ruleset/flows.h"
#include "core/ruleset/ruleset.h"

/* Appended. Where they lead in from, a name of an interface, is among them. */
void nft_read_translations(struct flows *flows, struct arena *a, const struct ruleset *rs);
