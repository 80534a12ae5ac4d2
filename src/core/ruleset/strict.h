/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict networks. Neighbours reach each other only through the forward hook (core/ports/ports.h),
 * where what no policy admits is dropped. What comes from such a bridge with an address that its
 * sender does not have is dropped before anything else sees it.
 */
#pragma once

#include "core/ruleset/ruleset.h"

/*
 * The wanted table with the senders that stand. Without an engine nobody knows who runs, and
 * whoever sat there stays.
 */
struct ruleset strict_keep_senders(struct arena *a, const struct ruleset *want,
				   const struct ruleset *have);
