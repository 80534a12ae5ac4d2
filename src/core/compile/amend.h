/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a change of a few policies among very many does to the host's table, without compiling them
 * all: what the changed ones said and say is compiled, and of the others those that might say the
 * same. Only for policies that let single addresses of the declared networks through, where nothing
 * but policies changed; everything else is compiled whole. Pure.
 */
#pragma once

#include "core/compile/compile.h"

struct version {
	const struct config *config;
	const struct resolution *resolution;
};

struct amending {
	struct version before, now;
	const struct engine *engine;
	const struct facts *facts;
	const struct ruleset *have; /* the host's table, which says what the file said before */
};

struct amendment {
	LIST(uint32_t) gone, come; /* policies, by their numbers in the file before, and now */
	/* Sets of the host's table, with only those elements that go, and that come. */
	struct ruleset have, want;
	struct state adds; /* what the policies that came want by themselves: routes, too */
};

/* False: nothing is known but that everything is to be compiled. */
MUST_CHECK bool amend(struct amendment *out, struct arena *a, const struct amending *in);
/* The number now of policy i of the file before; NONE: it is gone. */
uint32_t amendment_number_now(const struct amendment *amendment, uint32_t i);
