/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/pass.h"

#include "app/console/timings.h"
#include "app/pass/unchanged.h"
#include "core/compile/compile.h"
#include "core/config/place.h"
#include "core/nft/nft.h"
#include "core/reach/tests.h"
#include "edge/firewall/iptables.h"

#include <string.h>

enum { FIRST_WITH_RAW_DROPS = 28, FIRST_WITHOUT_RETURN = 28 }; /* Docker Engine */

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

		reach_test(&r, &a, &tested->reach, &tested->facts, NULL, NULL, t);
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

static void encode(struct pass *p)
{
	list_each (space, &p->want.spaces)
		nft_encode_ruleset(&space->ruleset, &p->arena);
	if (p->want.spaces.n)
		nft_encode_ruleset(&p->want.spaces.items[0].bridge, &p->arena);
}

/* Equal inputs give an equal state, so it may be compiled again with better facts. */
static void make_want(struct pass *p, const struct generation *g)
{
	struct moment start = timing_start();

	p->want = (struct state){0};
	p->plan.findings = (struct findings){0};
	compile(&p->want, &p->plan.findings, &p->arena, &g->config, &g->resolution, &p->view.engine,
		&p->view.facts);
	timing_stop("compile", start);
	start = timing_start();
	encode(p);
	timing_stop("encode", start);
}

/* What the engine's list does not say yet: clients of several targets must not wait for it. */
static void note_ended(struct engine *engine, const struct world *w, const name_list *shared)
{
	list_each (name, shared) {
		struct engine_container *c = engine_find_container(engine, *name);

		if (c && world_has_ended(w, *name))
			c->running = false;
	}
}

/* Rules that a tool does not know would make it refuse all of them. */
static void ask_about_logging(struct pass *p, struct world *w, const struct config *config)
{
	struct facts *f = &p->view.facts;
	struct error err = {0};

	if (f->backend != BACKEND_IPTABLES || w->logs ||
	    !(config->logs || config->denies || config->audits))
		return;
	w->logs = iptables_logs(&w->host, f->variant, &err);
	if (!w->logs)
		f->unlogged = arena_strdup(&p->arena, err.text);
}

bool pass_plan(struct pass *p, struct world *w, const struct generation *g, struct error *err)
{
	struct moment start = timing_start();

	*p = (struct pass){0};
	if (!observe_host(&p->view, &p->arena, w, err) ||
	    (g->config.has_ipv6 && !observe_ipv6(&p->view, &p->arena, w, err)) ||
	    !observe_ports(&p->view, &p->arena, w, &g->config, err))
		return false;
	note_ended(&p->view.engine, w, &g->resolution.shared);
	timing_stop("observe_host", start);
	p->file = g->config.digest;
	p->stamp = unchanged_stamp(p, w);
	p->unchanged = unchanged_take(p, w);
	if (p->unchanged)
		return true;
	observe_walls(&p->view, &p->arena);
	observe_routings(&p->view, &p->arena, w);
	ask_about_logging(p, w, &g->config);
	make_want(p, g);
	if (p->want.refused)
		return error_set(err, -1, "%s", p->want.refused);
	start = timing_start();
	if (!observe_containers(&p->view, &p->arena, w, &p->want, err))
		return false;
	observe_interfaces(&p->view, &p->arena, &p->want);
	timing_stop("observe_containers", start);
	if (observe_routings(&p->view, &p->arena, w)) /* of namespaces that were just opened */
		make_want(p, g);
	if ((w->adopt || w->look_for_leftovers) &&
	    !observe_leftovers(&p->view, &p->arena, &p->want, err))
		return false;
	p->plan.keep_networks = w->keep_networks;
	p->plan.adopt = w->adopt;
	p->plan.replace = w->replace;
	start = timing_start();
	plan_diff(&p->plan, &p->arena, &p->want, &p->view.seen, &g->config);
	timing_stop("diff", start);
	return true;
}

void pass_compile(struct pass *p, const struct options *options, const struct generation *g)
{
	const char *backend = options->backend ? options->backend : "nftables";

	*p = (struct pass){.view.engine.major = options->engine};
	p->view.facts = (struct facts){
		.variant = VARIANT_NFT,
		.docker_user = true,
		.user_end = options->engine >= FIRST_WITHOUT_RETURN ? NONE : 0,
		.raw_drops = options->engine >= FIRST_WITH_RAW_DROPS,
		.docker_drops = true,
		.ip_forward = 1,
		.six = {.variant = VARIANT_NFT,
			.exists = options->engine >= FIRST_WITH_IP6TABLES,
			.docker_user = options->engine >= FIRST_WITH_IP6TABLES,
			.docker_drops = options->engine >= FIRST_WITH_IP6TABLES,
			.raw_drops = options->engine >= FIRST_WITH_RAW_DROPS,
			.user_end = options->engine >= FIRST_WITHOUT_RETURN ? NONE : 0},
		.counters = options->counters,
		.mark_accept = options->mark_accept,
		.mark_raw = options->mark_raw,
		.handoff_top = options->handoff_top};
	if (!strncmp(backend, "iptables", 8))
		p->view.facts.backend = BACKEND_IPTABLES;
	if (!strcmp(backend, "iptables-legacy"))
		p->view.facts.variant = p->view.facts.six.variant = VARIANT_LEGACY;
	compile(&p->want, &p->plan.findings, &p->arena, &g->config, &g->resolution, &p->view.engine,
		&p->view.facts);
	encode(p);
}

bool pass_finds_no_rules(const struct pass *p)
{
	const struct space *host = &p->view.seen.have.spaces.items[0];

	return !host->ruleset.exists && !host->chains.n;
}

bool pass_has_conflicts(const struct pass *p)
{
	list_each (finding, &p->plan.findings.list)
		if (finding->kind == FINDING_CONFLICT)
			return true;
	return false;
}

void pass_release(struct pass *p)
{
	plan_free(&p->plan);
	arena_release(&p->arena);
	*p = (struct pass){0};
}
