/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One accepted file: decoded, resolved, tested. */
#pragma once

#include "core/config/config.h"
#include "core/reach/reach.h"
#include "core/resolve/resolve.h"
#include "edge/host/texts.h"

/* All-zero is the empty one, which wants nothing. */
struct generation {
	struct arena arena;
	struct config config;
	struct resolution resolution;
	struct diags diags;
};

/*
 * Decodes and resolves the file's texts and runs its tests. False: the file has errors; err counts
 * them. The diagnostics are in *g either way.
 */
MUST_CHECK bool generation_load(struct generation *g, const char *path, const struct texts *texts,
				struct error *err);
/* The same, without the tests. */
MUST_CHECK bool generation_load_untested(struct generation *g, const char *path,
					 const struct texts *texts, struct error *err);
/* Like generation_load; policies that change nothing are warnings, whoever covers them. */
MUST_CHECK bool generation_check(struct generation *g, const char *path, const struct texts *texts,
				 struct error *err);
/* What the file alone admits, on a host that is unknown. */
struct tested {
	struct state want;
	struct facts facts;
	struct reach_pool pool;
	struct reach reach;
};
void generation_reach(struct tested *tested, struct arena *a, const struct generation *g);
void generation_release(struct generation *g);
