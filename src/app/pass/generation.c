/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/generation.h"

#include "app/console/timings.h"
#include "core/answers/tests.h"
#include "core/config/place.h"

static void decode(struct generation *g, struct config_text *kept, const char *path,
		   const struct texts *texts)
{
	struct moment start = timing_start();
	list_files files = {0};

	if (config_parse(kept, &g->diags, buf_text(&texts->bytes), texts->len)) {
		texts_lists(&files, &g->arena, texts, path);
		/* counts findings beside the diagnostics */
		(void)!config_decode_parsed(&g->config, kept, &g->diags, &g->arena, path, &files);
	}
	g->config.file = path;
	g->config.digest = texts_digest(texts);
	timing_stop("parse", start);
	if (!g->config.resolvable)
		return;
	/* resolve a file with errors, too: all errors are reported at once */
	start = timing_start();
	resolve(&g->resolution, &g->diags, &g->arena, &g->config, kept);
	timing_stop("resolve", start);
}

void generation_reach(struct tested *tested, struct arena *a, const struct generation *g)
{
	static const struct engine unknown;
	struct findings findings = {0};

	*tested = (struct tested){.facts = {.variant = VARIANT_NFT,
					    .docker_user = true,
					    .docker_drops = true,
					    .raw_drops = true,
					    .ip_forward = 1}};
	compile(&tested->want, &findings, a, &g->config, &g->resolution, &unknown, &tested->facts);
	reach_pool_init(&tested->pool, a);
	reach_build(&tested->reach, &tested->pool, &g->config, &g->resolution, &tested->want);
}

static void run_tests(struct generation *g, const struct tested *tested)
{
	AUTO_RELEASE struct arena a = {0};

	list_each (t, &g->config.tests) {
		struct test_result r;

		reach_test(&r, &a, &tested->reach, &tested->facts, t);
		if (!r.holds)
			diag_add(&g->diags, SEVERITY_ERROR, t->at,
				 arena_printf(&g->arena, "tests[%u]",
					      (uint32_t)(t - g->config.tests.items)),
				 "%s should be %s, but %s", r.what, expect_name(t->expect), r.why);
	}
}

enum care { AS_IT_IS, WITH_TESTS, WITH_WARNINGS };

static void look_closer(struct generation *g, struct config_text *kept, enum care care)
{
	AUTO_RELEASE struct arena a = {0};
	struct idle_list idle = {.found = arena_array(&a, bool, g->config.policies.n)};
	bool tests = care != AS_IT_IS && g->config.tests.n;
	struct tested tested;

	if (!g->config.resolvable)
		return;
	if (!g->diags.n_errors && (tests || care == WITH_WARNINGS)) {
		generation_reach(&tested, &a, g);
		run_tests(g, &tested);
		if (care == WITH_WARNINGS)
			reach_idle(&idle, &a, &tested.reach);
	}
	resolve_idle(&idle, &a, &g->config, &g->resolution);
	idle_warn(&idle, &g->diags, &g->config, kept);
}

static bool load(struct generation *g, const char *path, const struct texts *texts, enum care care,
		 struct error *err)
{
	AUTO_CONFIG_TEXT struct config_text kept = {0};

	*g = (struct generation){0};
	g->diags.arena = &g->arena;
	decode(g, &kept, path, texts);
	look_closer(g, &kept, care);
	diags_place(&g->diags, buf_text(&texts->bytes), texts->len);
	if (g->diags.n_errors)
		return error_set(err, -1, "%s: %u error%s", path, g->diags.n_errors,
				 g->diags.n_errors == 1 ? "" : "s");
	return true;
}

bool generation_load(struct generation *g, const char *path, const struct texts *texts,
		     struct error *err)
{
	return load(g, path, texts, WITH_TESTS, err);
}

bool generation_load_untested(struct generation *g, const char *path, const struct texts *texts,
			      struct error *err)
{
	return load(g, path, texts, AS_IT_IS, err);
}

bool generation_check(struct generation *g, const char *path, const struct texts *texts,
		      struct error *err)
{
	return load(g, path, texts, WITH_WARNINGS, err);
}

void generation_release(struct generation *g)
{
	arena_release(&g->arena);
	*g = (struct generation){0};
}
