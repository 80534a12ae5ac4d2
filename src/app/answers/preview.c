/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/answers/preview.h"

#include "app/answers/changes.h"
#include "app/console/color.h"
#include "app/console/say.h"
#include "app/pass/last_good.h"
#include "base/foreign.h"
#include "core/compile/compile.h"
#include "core/plan/brake.h"

#include <stdlib.h>

void say_diags(const struct options *o, struct generation *g)
{
	list_each (diag, &g->diags.list) {
		if (o->quiet && diag->severity != SEVERITY_ERROR)
			continue;
		say_line(stderr, "%s", diag_format(&g->arena, o->config, diag));
		if (diag->quote) /* its text is final already (quote_place) */
			color_print(stderr, diag->quote);
	}
}

void say_findings(FILE *out, const struct pass *p)
{
	AUTO_BUF struct buf text = {0};

	list_each (finding, &p->plan.findings.list)
		finding_print(&text, finding);
	say_page(out, &text);
}

bool replace_refused(const struct pass *p, const struct options *o, struct error *err)
{
	if (!p->plan.replace_refused)
		return false;
	if (!o->quiet)
		say_findings(stdout, p);
	error_set(err, -1, "--replace: %s", p->plan.replace_refused);
	return true;
}

typedef bool loader(struct generation *g, const char *path, const struct texts *texts,
		    struct error *err);

static bool load(struct generation *g, struct texts *texts, const struct options *o,
		 loader *generation)
{
	struct error err = {0};
	struct moment start = timing_start();
	bool accepted;

	if (!texts_read(texts, o->config, TEXTS_PIPE_MS, &err)) {
		say_failed(&err);
		return false;
	}
	timing_stop("read", start);
	accepted = generation(g, o->config, texts, &err);
	say_diags(o, g);
	if (!accepted) {
		say_failed(&err);
		generation_release(g);
	}
	return accepted;
}

bool load_file(struct generation *g, struct texts *texts, const struct options *o)
{
	return load(g, texts, o, generation_load);
}

bool load_checked(struct generation *g, struct texts *texts, const struct options *o)
{
	return load(g, texts, o, o->quiet ? generation_load : generation_check);
}

bool load_untested(struct generation *g, struct texts *texts, const struct options *o)
{
	return load(g, texts, o, generation_load_untested);
}

/* The daemon would hold this file. The verb goes on, but says so. */
static void add_brake(struct pass *p, const struct generation *g, const struct generation *good,
		      const struct options *o)
{
	struct declared before = {&good->config, &good->resolution};
	struct brake brake;

	brake_look(&brake, &p->arena, &p->view.engine, &before,
		   &(struct declared){&g->config, &g->resolution});
	if (brake_holds(&brake))
		finding_add(&p->plan.findings, &p->arena, FINDING_WARNING, NONE, o->config,
			    "%s; a daemon holds such a file until you run: %s",
			    brake_text(&brake, &p->arena),
			    accept_command(&p->arena, o, g->config.digest));
}

/* Shows the plan unasked, before apply asks for a yes. */
enum { FLOWS_SHOWN = 20 };

static void add_changes(struct pass *p, const struct generation *g, const struct generation *good,
			const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf out = {0};
	struct flow_changes changes;
	struct findings findings = {0};
	struct state before = {0};

	compile(&before, &findings, &a, &good->config, &good->resolution, &p->view.engine,
		&p->view.facts);
	changes_find(&changes, good, &before, g, &p->want);
	if (o->json)
		changes_print_json(&out, &changes);
	else
		changes_print(&out, &changes, o->verbose ? CHANGES_MOST : FLOWS_SHOWN);
	changes_release(&changes);
	p->plan.flows = arena_strdup(&p->arena, buf_text(&out));
}

void compare_with_file_in_force(struct pass *p, const struct generation *g, const struct options *o)
{
	static const struct generation nothing;
	struct generation *good;

	if (last_good_is(o, g->config.digest))
		return;
	good = last_good_load(o);
	add_brake(p, g, good ? good : &nothing, o);
	add_changes(p, g, good ? good : &nothing, o);
	if (good)
		generation_release(good);
	free(good);
}

void print_plan(struct buf *out, const struct pass *p, const struct generation *g,
		const struct options *o)
{
	buf_puts(out, "host: ");
	facts_print(out, &p->view.engine, &p->view.facts);
	buf_end_line(out, 0);
	plan_print(out, &p->plan, &g->config, o->rules || o->verbose);
}
