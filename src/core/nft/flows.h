/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a table of ours, wanted or read back, translates. Pure. */
#pragma once

#include "core/ruleset/flows.h"
#include "core/ruleset/ruleset.h"

/* Appended. Where they lead in from, a name of an interface, is among them. */
void nft_read_translations(struct flows *flows, struct arena *a, const struct ruleset *rs);
