/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/say.h"

#include "app/ask.h"
#include "app/color.h"
#include "app/pass/last_good.h"
#include "core/compile/facts.h"
#include "core/plan/brake.h"
#include "edge/host/file.h"

#include <stdlib.h>

int say_error(const struct error *err)
{
	fprintf(stderr, "harborwall: %s\n", err->text);
	return EXIT_FAILED;
}

void say_text(const struct buf *text)
{
	color_print(stdout, buf_text(text));
}

void say_diags(const struct options *o, struct generation *g)
{
	list_each (diag, &g->diags.list)
		if (!o->quiet || diag->severity == SEVERITY_ERROR)
			color_print(stderr, arena_printf(&g->arena, "%s\n%s",
							 diag_format(&g->arena, o->config, diag),
							 diag->quote ? diag->quote : ""));
}

void say_findings(FILE *out, const struct pass *p)
{
	AUTO_BUF struct buf text = {0};

	list_each (finding, &p->plan.findings.list)
		buf_printf(&text, "%s: %s: %s\n", finding_names[finding->kind], finding->subject,
			   finding->text);
	color_print(out, buf_text(&text));
}

bool load_file(struct generation *g, struct buf *text, const struct options *o)
{
	struct error err = {0};
	struct moment start = timing_start();
	bool accepted;

	if (!file_read(text, o->config, CONFIG_MAX_BYTES, &err)) {
		say_error(&err);
		return false;
	}
	timing_stop("read", start);
	accepted = generation_load(g, o->config, text, &err);
	say_diags(o, g);
	if (!accepted) {
		say_error(&err);
		generation_release(g);
	}
	return accepted;
}

void print_plan(struct buf *out, const struct pass *p, const struct generation *g, bool verbose)
{
	buf_puts(out, "host: ");
	facts_print(out, &p->view.engine, &p->view.facts);
	buf_puts(out, "\n");
	plan_print(out, &p->plan, &g->config, verbose);
}

void add_brake(struct pass *p, const struct generation *g, const struct options *o, size_t size)
{
	struct generation *good;
	struct declared before = {0};
	struct brake brake;

	if (last_good_is(o, size, g->config.digest))
		return;
	good = last_good_load(o);
	if (good)
		before = (struct declared){&good->config, &good->resolution};
	brake_look(&brake, &p->arena, &p->view.engine, &before,
		   &(struct declared){&g->config, &g->resolution});
	if (brake_holds(&brake))
		finding_add(&p->plan.findings, &p->arena, FINDING_WARNING, NONE, o->config,
			    "%s; a daemon holds such a file until somebody types: %s",
			    brake_text(&brake, &p->arena),
			    ask_accept_command(&p->arena, o, g->config.digest));
	if (good)
		generation_release(good);
	free(good);
}
