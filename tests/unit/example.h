/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of tests/golden/rules, compiled for a host with Docker. */
#pragma once

#include "core/compile/compile.h"
#include "core/config/impl.h"
#include "core/config/place.h"
#include "core/nft/nft.h"
#include "core/resolve/resolve.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>

struct example {
	struct arena arena;
	struct diags diags;
	struct config config;
	struct resolution resolution;
	struct engine engine;
	struct facts facts;
	struct findings findings;
	struct state want;
};

static inline void load(struct example *x, const char *name, enum backend backend)
{
	const char *path =
		arena_printf(&x->arena, "%s/golden/rules/%s.json", getenv("TESTS"), name);
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	char text[1 << 16];
	FILE *f = fopen(path, "r");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = 0;
	fclose(f);
	x->diags.arena = &x->arena;
	x->facts = (struct facts){.variant = VARIANT_NFT,
				  .docker_user = true,
				  .docker_drops = true,
				  .ip_forward = 1,
				  .backend = backend,
				  .mark_accept = 0x2000000,
				  .mark_raw = 0x1000000};
	assert_true(config_decode(&x->config, &kept, &x->diags, &x->arena, name, text, len));
	resolve(&x->resolution, &x->diags, &x->arena, &x->config, &kept);
	compile(&x->want, &x->findings, &x->arena, &x->config, &x->resolution, &x->engine,
		&x->facts);
	list_each (space, &x->want.spaces)
		nft_encode_ruleset(&space->ruleset, &x->arena);
}
