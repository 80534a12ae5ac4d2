/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that run once and end. Output for people on stdout, diagnostics on stderr. */
#include "app/verbs.h"

#include "app/ask.h"
#include "app/pass/pass.h"
#include "app/pass/saved.h"
#include "app/report/timings.h"
#include "core/compile/facts.h"
#include "core/iptables/iptables.h"
#include "edge/firewall/handoff.h"
#include "edge/host/file.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PASSES = 4 }; /* of one apply: the last one finds nothing left to do */

static int fail(const struct error *err)
{
	fprintf(stderr, "harborwall: %s\n", err->text);
	return EXIT_FAILED;
}

static void print(const struct buf *text)
{
	fwrite(buf_text(text), 1, text->len, stdout);
}

/* --- check --- */

static void print_diags(const struct options *o, struct generation *g)
{
	list_each (diag, &g->diags.list)
		if (!o->quiet || diag->severity == SEVERITY_ERROR)
			fprintf(stderr, "%s\n%s", diag_format(&g->arena, o->config, diag),
				diag->quote ? diag->quote : "");
}

static void print_diags_json(const struct options *o, const struct generation *g, bool valid)
{
	AUTO_BUF struct buf out = {0};
	const char *comma = "\n";

	buf_puts(&out, "{\n  \"file\": ");
	buf_json_string(&out, o->config);
	buf_printf(&out, ",\n  \"valid\": %s,\n  \"diagnostics\": [", valid ? "true" : "false");
	list_each (diag, &g->diags.list) {
		buf_printf(&out,
			   "%s    {\"line\": %u, \"column\": %u, \"severity\": \"%s\", \"path\": ",
			   comma, diag->line, diag->column, severity_names[diag->severity]);
		buf_json_string(&out, diag->path);
		buf_puts(&out, ", \"message\": ");
		buf_json_string(&out, diag->message);
		buf_puts(&out, "}");
		comma = ",\n";
	}
	buf_puts(&out, "\n  ]\n}\n");
	print(&out);
}

static const char *plural(uint32_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void print_summary(const struct options *o, const struct generation *g)
{
	const struct config *c = &g->config;

	printf("%s: %u network%s, %u address%s, %u polic%s: %u error%s, %u warning%s\n", o->config,
	       c->networks.n, plural(c->networks.n, "", "s"), c->addresses.n,
	       plural(c->addresses.n, "", "es"), c->policies.n, plural(c->policies.n, "y", "ies"),
	       g->diags.n_errors, plural(g->diags.n_errors, "", "s"), g->diags.n_warnings,
	       plural(g->diags.n_warnings, "", "s"));
}

int verb_check(const struct options *o)
{
	AUTO_BUF struct buf text = {0};
	struct generation g;
	struct error err = {0};
	bool valid;

	if (!file_read(&text, o->config, CONFIG_MAX_BYTES, &err))
		return fail(&err);
	valid = generation_load(&g, o->config, &text, &err) && !(o->strict && g.diags.n_warnings);
	if (o->json)
		print_diags_json(o, &g, valid);
	else
		print_diags(o, &g);
	if (!o->json && !o->quiet)
		print_summary(o, &g);
	generation_release(&g);
	return valid ? EXIT_FINE : EXIT_FAILED;
}

/* --- rules --- */

/* The file's generation, or what is wrong with it on stderr. */
static bool load(struct generation *g, const struct options *o)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};
	struct moment start = timing_start();
	bool accepted;

	if (!file_read(&text, o->config, CONFIG_MAX_BYTES, &err)) {
		fail(&err);
		return false;
	}
	timing_stop("read", start);
	accepted = generation_load(g, o->config, &text, &err);
	print_diags(o, g);
	if (!accepted) {
		fail(&err);
		generation_release(g);
	}
	return accepted;
}

static void print_findings(FILE *out, const struct pass *p)
{
	list_each (finding, &p->plan.findings.list)
		fprintf(out, "%s: %s: %s\n", finding_names[finding->kind], finding->subject,
			finding->text);
}

static void print_spaces(struct buf *out, const struct pass *p)
{
	list_each (space, &p->want.spaces) {
		if (!space->ruleset.exists && !space->routes.n && !space->chains.n)
			continue;
		buf_printf(out, "# %s%s\n", space->container ? "container " : "host",
			   space->container ? space->container : "");
		nft_print(out, &space->ruleset);
		ipt_print(out, &space->chains);
		list_each (route, &space->routes)
			buf_printf(out, "# ip route replace %s via %s proto 104\n",
				   prefix_format(route->dst).s, ip_format(route->via).s);
	}
}

int verb_rules(const struct options *o)
{
	AUTO_BUF struct buf out = {0};
	struct generation g;
	struct pass pass;
	bool accepted = load(&g, o);

	if (!accepted)
		return EXIT_FAILED;
	pass_compile(&pass, o, &g);
	print_spaces(&out, &pass);
	if (!o->quiet)
		print_findings(stderr, &pass);
	print(&out);
	pass_release(&pass);
	generation_release(&g);
	return EXIT_FINE;
}

/* --- plan --- */

static void print_plan(struct buf *out, const struct pass *p, const struct generation *g,
		       bool verbose)
{
	buf_puts(out, "host: ");
	facts_print(out, &p->view.engine, &p->view.facts);
	buf_puts(out, "\n");
	plan_print(out, &p->plan, &g->config, verbose);
}

int verb_plan(const struct options *o)
{
	AUTO_BUF struct buf out = {0};
	struct generation g;
	struct world world;
	struct pass pass = {0};
	struct error err = {0};
	bool opened;
	int status;

	if (!load(&g, o))
		return EXIT_FAILED;
	opened = world_open(&world, o, &err);
	world.look_for_leftovers = true;
	if (!opened || !pass_plan(&pass, &world, &g, &err)) {
		status = fail(&err);
	} else {
		if (o->json)
			plan_print_json(&out, &pass.plan, &pass.view.seen);
		else if (!o->quiet)
			print_plan(&out, &pass, &g, o->verbose);
		print(&out);
		status = pass_has_conflicts(&pass) ? EXIT_FAILED
			 : pass.plan.steps.n	   ? EXIT_CHANGES
						   : EXIT_FINE;
	}
	pass_release(&pass);
	world_close(&world);
	generation_release(&g);
	return status;
}

/* --- apply --- */

static const char *const outcome_words[] = {
	[OUTCOME_DONE] = "", [OUTCOME_FAILED] = "FAILED: ", [OUTCOME_SKIPPED] = "skipped: "};

/* What failed is tried again in the next pass; the last one tells. */
static void print_outcomes(const struct pass *p, bool last, bool quiet)
{
	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct step *step = &p->plan.steps.items[i];
		const struct outcome *outcome = &p->outcomes[i];

		if (!last && outcome->kind != OUTCOME_DONE)
			continue;
		if (!quiet)
			printf("%c %-10s %s%s%s%s%s\n", step->sign, step->object,
			       outcome_words[outcome->kind], step->text, *step->why ? "  (" : "",
			       step->why, *step->why ? ")" : "");
		if (outcome->kind == OUTCOME_FAILED)
			fprintf(stderr, "harborwall: %s\n", outcome->why);
	}
}

/*
 * Passes until one finds nothing to do, for what a pass does may be what the next one needs (a
 * network's bridge, a container's address). Ends early where nothing succeeds.
 */
static bool converge(struct world *world, const struct generation *g, const struct options *o,
		     struct error *err)
{
	for (int i = 0; i < MAX_PASSES; i++) {
		struct pass pass;
		bool planned = pass_plan(&pass, world, g, err), clean, stuck, last;

		if (planned)
			pass_apply(&pass, world);
		clean = planned && !pass.plan.steps.n;
		stuck = !planned || (!clean && !pass.n_done) ||
			(clean && pass_has_conflicts(&pass));
		last = clean || stuck || i == MAX_PASSES - 1;
		if (planned)
			print_outcomes(&pass, last, o->quiet);
		if (planned && !o->quiet && last)
			print_findings(stdout, &pass);
		pass_release(&pass);
		if (stuck)
			return error_set(err, -1, "not converged");
		if (clean)
			return i || o->quiet || printf("nothing to do\n");
	}
	return error_set(err, -1, "not converged after %d passes: something undoes what is done",
			 MAX_PASSES);
}

int verb_apply(const struct options *o)
{
	struct generation g;
	struct world world;
	struct error err = {0};
	int status = EXIT_FINE;
	char holder[32];

	if (!load(&g, o))
		return EXIT_FAILED;
	if (!world_open(&world, o, &err)) {
		status = fail(&err);
	} else {
		world.adopt = o->adopt;
		world.look_for_leftovers = true;
		if (!ask_holder(holder, sizeof(holder), &world, &err))
			status = fail(&err);
		else if (*holder)
			status = ask_for_pass(o);
		else if (!converge(&world, &g, o, &err))
			status = fail(&err);
	}
	world_close(&world);
	generation_release(&g);
	return status;
}

/* --- clear --- */

/* Forwarding first: with it off, an accepting policy lets nothing through. */
static bool give_back(struct world *world, const struct options *o, struct error *err)
{
	const struct saved *saved = &world->saved;

	if (saved->trouble)
		return error_set(err, -1, "%s", saved->trouble);
	if (saved->forwarding_was_off && !ns_set_forward(&world->host, 0, err))
		return false;
	if (saved->policy_was_accept &&
	    !handoff_set_forward_policy(&world->host, saved->variant, false, err))
		return false;
	if (!o->quiet && saved->forwarding_was_off)
		printf("~ forwarding host: net.ipv4.ip_forward = 0, as it was\n");
	if (!o->quiet && saved->policy_was_accept)
		printf("~ policy     host: FORWARD policy ACCEPT, as it was\n");
	return saved_forget(saved, err);
}

static int refuse_clear(const char *holder)
{
	fprintf(stderr,
		"harborwall: a daemon keeps the rules (%s) and would write them again; end it "
		"first\n",
		holder);
	return EXIT_FAILED;
}

int verb_clear(const struct options *o)
{
	static const struct generation nothing;
	struct world world;
	struct error err = {0};
	int status = EXIT_FINE;
	char holder[32];

	if (!world_open(&world, o, &err)) {
		status = fail(&err);
	} else {
		world.without_engine = true;
		world.keep_networks = !o->networks;
		if (!ask_holder(holder, sizeof(holder), &world, &err))
			status = fail(&err);
		else if (*holder)
			status = refuse_clear(holder);
		else if (!converge(&world, &nothing, o, &err) || !give_back(&world, o, &err))
			status = fail(&err);
		else if (world.engine_trouble.code)
			status = fail(&world.engine_trouble);
	}
	world_close(&world);
	return status;
}
