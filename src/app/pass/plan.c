/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/pass.h"

#include "app/console/timings.h"
#include "app/pass/unchanged.h"
#include "core/compile/compile.h"
#include "core/nft/nft.h"
#include "edge/firewall/iptables.h"

#include <string.h>

enum { FIRST_WITH_RAW_DROPS = 28, FIRST_WITHOUT_RETURN = 28 }; /* Docker Engine */

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
