/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that run once and end. Output for people on stdout, diagnostics on stderr. */
#include "app/console/verbs.h"

#include "app/answers/preview.h"
#include "app/console/say.h"
#include "app/daemon/ask.h"
#include "app/daemon/trial.h"
#include "app/pass/pass.h"
#include "base/foreign.h"
#include "core/iptables/iptables.h"

#include <stdio.h>
#include <string.h>

/* --- check --- */

static void print_diags_json(const struct options *o, const struct generation *g, bool valid)
{
	AUTO_BUF struct buf out = {0};
	const char *comma = "\n";

	buf_json_member(&out, "{\n  ", "file", o->config);
	buf_printf(&out, ",\n  \"valid\": %s,\n  \"diagnostics\": [", valid ? "true" : "false");
	list_each (diag, &g->diags.list) {
		buf_printf(&out, "%s    {", comma);
		if (diag->file) {
			buf_json_member(&out, "", "file", diag->file);
			buf_puts(&out, ", ");
		}
		buf_printf(&out, "\"line\": %u, \"column\": %u, \"severity\": \"%s\", \"path\": ",
			   diag->line, diag->column, severity_names[diag->severity]);
		buf_json_string(&out, diag->path);
		buf_json_member(&out, ", ", "message", diag->message);
		buf_puts(&out, "}");
		comma = ",\n";
	}
	buf_puts(&out, "\n  ]\n}\n");
	say_page(stdout, &out);
}

static const char *plural(uint32_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void print_summary(const struct options *o, const struct generation *g)
{
	const struct config *c = &g->config;

	say_line(stdout, "%s: %u network%s, %u address%s, %u polic%s: %u error%s, %u warning%s",
		 o->config, c->networks.n, plural(c->networks.n, "", "s"), c->addresses.n,
		 plural(c->addresses.n, "", "es"), c->policies.n, plural(c->policies.n, "y", "ies"),
		 g->diags.n_errors, plural(g->diags.n_errors, "", "s"), g->diags.n_warnings,
		 plural(g->diags.n_warnings, "", "s"));
}

int verb_check(const struct options *o)
{
	AUTO_TEXTS struct texts text = {0};
	struct generation g;
	struct error err = {0};
	bool valid;

	if (!texts_read(&text, o->config, TEXTS_PIPE_MS, &err))
		return say_failed(&err);
	valid = generation_check(&g, o->config, &text, &err) && !(o->strict && g.diags.n_warnings);
	if (o->json)
		print_diags_json(o, &g, valid);
	else
		say_diags(o, &g);
	if (!o->json && !o->quiet)
		print_summary(o, &g);
	generation_release(&g);
	return valid ? EXIT_FINE : EXIT_FAILED;
}

/* --- rules --- */

static bool says_something(const struct space *space)
{
	return space->ruleset.exists || space->routes.n || space->chains.n;
}

/* One namespace at a time, so that nft can load the output there. */
static void print_space(struct buf *out, const struct space *space)
{
	if (!says_something(space))
		return;
	buf_printf(out, "# %s%s\n", space->container ? "container " : "host",
		   space->container ? space->container : "");
	nft_print(out, &space->ruleset);
	nft_print(out, &space->bridge);
	ipt_print(out, &space->chains);
	list_each (route, &space->routes)
		buf_printf(out, "# ip route replace %s via %s proto 104\n",
			   prefix_format(route->dst).s, ip_format(route->via).s);
}

/* Names of containers whose namespaces have rules: "a, b", or "". */
static void name_containers(struct buf *out, const struct pass *p)
{
	list_each (space, &p->want.spaces)
		if (space->container && says_something(space))
			buf_printf(out, "%s%s", out->len ? ", " : "", space->container);
}

static int print_rules(const struct options *o, const struct pass *p)
{
	AUTO_BUF struct buf out = {0}, others = {0};
	uint32_t i = o->container ? state_find_space(&p->want, o->container) : 0;

	name_containers(&others, p);
	if (i == NONE || (o->container && !says_something(&p->want.spaces.items[i]))) {
		say_error("this file puts no rules into container \"%s\"%s%s", o->container,
			  others.len ? ", only in: " : "", buf_text(&others));
		return EXIT_FAILED;
	}
	print_space(&out, &p->want.spaces.items[i]);
	if (!o->quiet && !o->container && others.len)
		say_error("note: %s in containers (--container NAME): %s",
			  out.len ? "more rules are" : "there are no rules on the host, only",
			  buf_text(&others));
	say_page(stdout, &out);
	return EXIT_FINE;
}

int verb_rules(const struct options *o)
{
	AUTO_TEXTS struct texts text = {0};
	struct generation g;
	struct pass pass;
	int status;

	if (!load_file(&g, &text, o))
		return EXIT_FAILED;
	pass_compile(&pass, o, &g);
	if (!o->quiet)
		say_findings(stderr, &pass);
	if (pass.want.refused)
		say_error("%s", pass.want.refused);
	status = pass.want.refused ? EXIT_FAILED : print_rules(o, &pass);
	pass_release(&pass);
	generation_release(&g);
	return status;
}

/* --- plan --- */

/* Another process is changing the host: its remaining steps are listed, too. */
static void note_work(const struct world *w)
{
	char holder[LOCK_TEXT];
	struct error err = {0};

	if (ask_holder(holder, w, &err) && lock_is_passing(holder))
		say_error("note: another harborwall is changing this host (%s); its remaining "
			  "steps are listed, too",
			  holder);
}

/* The file in force is kept only if somebody confirms it. */
static void note_trial(struct pass *p, const struct generation *g, const struct options *o)
{
	AUTO_TRIAL struct trial trial = {0};
	const char *which = "this file is in force for", *left = "more";

	if (!trial_runs(&trial, o))
		return;
	if (trial.digest != g->config.digest) {
		which = "another file than this one is in force,";
		left = "left";
	}
	finding_add(&p->plan.findings, &p->arena, FINDING_NOTE, NONE, "trial",
		    "%s %u s %s; %s keeps it, %s goes back at once", which,
		    trial_left_s(trial.until_ms), left, confirm_command(&p->arena, o, "yes"),
		    confirm_command(&p->arena, o, "no"));
}

int verb_plan(const struct options *o)
{
	AUTO_TEXTS struct texts text = {0};
	AUTO_BUF struct buf out = {0};
	struct generation g;
	struct world world;
	struct pass pass = {0};
	struct error err = {0};
	bool opened;
	int status;

	if (!load_checked(&g, &text, o))
		return EXIT_FAILED;
	opened = world_open(&world, o, &err);
	world.look_for_leftovers = true;
	world.adopt = o->adopt;
	world.replace = o->replace;
	if (opened)
		note_work(&world);
	if (!opened || !pass_plan(&pass, &world, &g, &err)) {
		status = say_failed(&err);
	} else if (replace_refused(&pass, o, &err)) {
		status = say_failed(&err);
	} else {
		if (o->json || !o->quiet)
			compare_with_file_in_force(&pass, &g, o);
		note_trial(&pass, &g, o);
		if (o->json)
			plan_print_json(&out, &pass.plan, &pass.view.seen);
		else if (!o->quiet)
			print_plan(&out, &pass, &g, o);
		say_page(stdout, &out);
		status = pass_has_conflicts(&pass) ? EXIT_FAILED
			 : pass.plan.steps.n	   ? EXIT_CHANGES
						   : EXIT_FINE;
	}
	pass_release(&pass);
	world_close(&world);
	generation_release(&g);
	return status;
}
