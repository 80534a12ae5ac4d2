/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/report.h"

#include "app/ask.h"
#include "app/report/metrics.h"
#include "app/report/policies.h"
#include "base/foreign.h"
#include "core/compile/facts.h"

#include <stdio.h>
#include <string.h>

static const char *const variant_words[] = {[VARIANT_NONE] = "",
					    [VARIANT_NFT] = " (iptables-nft)",
					    [VARIANT_LEGACY] = " (iptables-legacy)"};

enum { MANY = 50 }; /* findings, for people */

bool report_is_healthy(const struct report *r)
{
	return r->engine_up && !r->trouble[0] && !r->held && !r->failed && !r->n_failed &&
	       !r->n_conflicts && !r->n_stopped && !r->compiled_with.drops_lost &&
	       !fights_are_on(r->fights);
}

static void keep_findings(struct report *r, const struct findings *findings)
{
	arena_release(&r->arena);
	r->arena = (struct arena){0};
	r->findings = (struct findings){0};
	r->n_conflicts = 0;
	r->n_stopped = 0;
	list_each (f, &findings->list) {
		finding_add(&r->findings, &r->arena, f->kind, f->origin,
			    arena_strdup(&r->arena, f->subject), "%s", f->text)
			->effect = f->effect;
		r->n_conflicts += f->kind == FINDING_CONFLICT;
		r->n_stopped += f->effect != NO_EFFECT;
	}
}

const char *const drift_objects[N_DRIFT_OBJECTS] = {"network", "connection", "forwarding", "policy",
						    "route",   "firewall",   "hand-off"};

const int64_t duration_bounds_us[N_DURATIONS] = {
	1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};

static void count_repairs(struct report *r, const struct pass *p)
{
	for (uint32_t i = 0; i < p->plan.steps.n; i++)
		for (size_t o = 0; o < N_DRIFT_OBJECTS; o++)
			if (p->outcomes[i].kind == OUTCOME_DONE &&
			    !strcmp(p->plan.steps.items[i].object, drift_objects[o]))
				r->repaired[o]++;
}

static void count_duration(struct report *r, int64_t took_us)
{
	size_t i = 0;

	while (i < N_DURATIONS && took_us > duration_bounds_us[i])
		i++;
	r->durations[i]++;
	r->took_us = took_us;
	r->duration_sum_us += (uint64_t)took_us;
	r->passed_at = time(NULL);
	r->n_passes++;
}

static void keep_handoffs(struct report *r, const struct pass *p)
{
	const char *text = "";

	list_each (h, &p->want.spaces.items[0].handoffs)
		text = arena_printf(&r->arena, "%s%s%s %s%s", text, *text ? ", " : "", h->table,
				    h->chain, h->behind ? " behind foreign rules" : "");
	r->handoff = text;
}

/* As of the last pass, and kept over those that could not look. */
static void keep_facts(struct report *r, const struct pass *p)
{
	buf_clear(&r->facts);
	buf_clear(&r->facts_json);
	facts_print(&r->facts, &p->view.engine, &p->view.facts);
	facts_print_json(&r->facts_json, &p->view.engine, &p->view.facts, "    ");
}

/* What compiling asks of them; its findings are of the pass. */
static void keep_compiled_with(struct report *r, const struct facts *facts)
{
	r->compiled_with = *facts;
	r->compiled_with.open_why = NULL;
	r->compiled_with.no_engine = NULL;
	r->compiled_with.elsewhere = NULL;
	r->compiled_with.firewalld = (struct firewalld){0};
	r->compiled_with.routed = NULL;
	r->compiled_with.n_routed = 0;
	r->compiled_with.routings = NULL;
	r->compiled_with.bridges = NULL;
	r->compiled_with.devices = (interfaces){0};
	memset(&r->compiled_with.routes, 0, sizeof(r->compiled_with.routes));
}

static bool is_rules(const struct step *step)
{
	return step->kind == STEP_FIREWALL || step->kind == STEP_IPTABLES;
}

static void keep_failures(struct report *r, const struct pass *p)
{
	r->error[0] = '\0';
	r->rules_failed = false;
	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		if (p->outcomes[i].kind != OUTCOME_FAILED)
			continue;
		r->rules_failed |=
			is_rules(&p->plan.steps.items[i]) && p->plan.steps.items[i].have_space == 0;
		if (!r->error[0])
			snprintf(r->error, sizeof(r->error), "%s", p->outcomes[i].why);
	}
}

void report_pass(struct report *r, const struct pass *p, const char *reasons, int64_t took_us,
		 bool drift)
{
	const struct facts *f = &p->view.facts;

	keep_findings(r, &p->plan.findings);
	keep_handoffs(r, p);
	keep_facts(r, p);
	keep_compiled_with(r, f);
	if (p->view.engine.up)
		snprintf(r->engine, sizeof(r->engine), "%s, API %s", p->view.engine.version,
			 p->view.engine.api);
	snprintf(r->backend, sizeof(r->backend), "%s%s",
		 f->backend == BACKEND_NFTABLES ? "nftables" : "iptables",
		 variant_words[f->variant]);
	snprintf(r->reason, sizeof(r->reason), "%s", reasons);
	snprintf(r->word, sizeof(r->word),
		 p->n_failed ? "%u changes done, %u failed\n" : "%u changes done\n", p->n_done,
		 p->n_failed);
	r->failed = p->trouble.text[0];
	r->n_failed = p->n_failed;
	keep_failures(r, p);
	r->n_passes_failed += p->n_failed > 0;
	r->n_revoked += p->n_revoked;
	count_duration(r, took_us);
	if (drift)
		count_repairs(r, p);
}

void report_failure(struct report *r, const struct error *err, const char *reasons, int64_t took_us)
{
	r->failed = true;
	r->n_passes_failed++;
	snprintf(r->reason, sizeof(r->reason), "%s", reasons);
	snprintf(r->error, sizeof(r->error), "%s", err->text);
	snprintf(r->word, sizeof(r->word), "%.250s\n", err->text);
	count_duration(r, took_us);
}

void report_release(struct report *r)
{
	arena_release(&r->arena);
	buf_free(&r->facts);
	buf_free(&r->facts_json);
}

static const char *when(struct arena *a, time_t t)
{
	struct tm utc;
	char text[32];

	if (!t)
		return "never";
	gmtime_r(&t, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return arena_strdup(a, text);
}

uint32_t report_policies(const struct report *r, enum finding_kind kind)
{
	uint32_t n = 0, last = NONE;

	list_each (f, &r->findings.list)
		if (f->kind == kind && f->origin != NONE && f->origin != last) {
			last = f->origin;
			n++;
		}
	return n;
}

uint64_t report_repaired(const struct report *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < N_DRIFT_OBJECTS; i++)
		n += r->repaired[i];
	return n;
}

void report_held(struct buf *out, const struct report *r, const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};

	if (r->held)
		buf_printf(out,
			   "held: the new file is not enforced, for with it %s; to accept it: %s\n",
			   r->takes, ask_accept_command(&a, o, r->held));
}

/* For the service manager: one line. */
void report_line(struct buf *out, const struct report *r, const struct generation *g,
		 const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	uint32_t total = g ? g->config.policies.n : 0;
	size_t start = out->len;

	buf_puts(out, report_is_healthy(r) ? "healthy" : "DEGRADED");
	if (r->held)
		buf_printf(out, ": the new file is held, accept it with %s",
			   ask_accept_command(&a, o, r->held));
	else if (r->trouble[0])
		buf_printf(out, ": the file is refused, the last good one is in force: %.300s",
			   r->trouble);
	else if (!r->engine_up)
		buf_puts(out, ": no engine");
	else if (r->error[0])
		buf_printf(out, ": %.200s", r->error);
	else if (r->n_conflicts)
		buf_printf(out, ": %u conflicts", r->n_conflicts);
	else if (r->n_stopped)
		buf_printf(out, ": other people's rules stop %u policies, or may", r->n_stopped);
	else if (fights_are_on(r->fights))
		buf_puts(out, ": another program keeps undoing changes");
	buf_printf(out, "; %u policies, %u waiting; engine %s; last pass %.1f ms", total,
		   report_policies(r, FINDING_WAITING), r->engine[0] ? r->engine : "none yet",
		   (double)r->took_us / 1000);
	buf_end_line(out, start);
}

static void print_fights(struct buf *out, const struct report *r)
{
	AUTO_RELEASE struct arena a = {0};

	for (uint32_t i = 0; i < r->fights->n; i++) {
		const struct fight *f = &r->fights->items[i];

		if (fight_is_on(f))
			buf_line(out, "fought: %s: %s undid it %u times in a row", f->object,
				 fight_opponent(&a, f), f->undone);
	}
}

static void print_sizes(struct buf *out, const struct generation *g, const struct fates *fates)
{
	buf_printf(out, "           %u networks, %u addresses, %u policies:", g->config.networks.n,
		   g->config.addresses.n, g->config.policies.n);
	for (size_t i = 0; i < N_POLICY_STATES; i++)
		buf_printf(out, "%s %u %s", i ? "," : "", fates->in[i], policy_states[i]);
	buf_puts(out, "\n");
}

static void print_findings(struct buf *out, const struct findings *findings)
{
	for (uint32_t i = 0; i < findings->list.n && i < MANY; i++)
		finding_print(out, &findings->list.items[i]);
	if (findings->list.n > MANY)
		buf_line(out, "… and %u more (--json shows all)", findings->list.n - MANY);
}

static void print_text(struct buf *out, const struct report *r, const struct generation *g,
		       const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	struct fates fates = policies_fates(&a, r, g);

	buf_printf(out, "%s\n", report_is_healthy(r) ? "healthy" : "DEGRADED");
	buf_printf(out, "config     %s%s, loaded %s\n", o->config,
		   r->trouble[0] ? " (REFUSED: the last good one is in force)"
		   : r->held	 ? " (HELD: the one before is in force)"
				 : "",
		   when(&a, r->loaded_at));
	if (r->trouble[0])
		buf_printf(out, "refused: %s\n", r->trouble);
	report_held(out, r, o);
	if (g)
		print_sizes(out, g, &fates);
	buf_line(out, "engine     %s%s",
		 r->engine_up ? "" : "DOWN, last seen: ", r->engine[0] ? r->engine : "never");
	buf_line(out, "backend    %s", r->backend);
	buf_line(out, "host       %s", buf_text(&r->facts));
	if (r->handoff && *r->handoff)
		buf_line(out, "hand-off   %s", r->handoff);
	buf_line(out, "last pass  %s, %.1f ms, for %s%s%s", when(&a, r->passed_at),
		 (double)r->took_us / 1000, r->reason, r->error[0] ? ": " : "", r->error);
	buf_line(out, "repaired   %llu changes of others; %llu revoked connections ended",
		 (unsigned long long)report_repaired(r), (unsigned long long)r->n_revoked);
	print_fights(out, r);
	print_findings(out, &r->findings);
}

static void json_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\n  \"%s\": ", name);
	buf_json_string(out, text);
}

static void json_fights(struct buf *out, const struct report *r)
{
	AUTO_RELEASE struct arena a = {0};
	const char *comma = "";

	buf_puts(out, ",\n  \"fought\": [");
	for (uint32_t i = 0; i < r->fights->n; i++) {
		const struct fight *f = &r->fights->items[i];

		if (!fight_is_on(f))
			continue;
		buf_printf(out, "%s\n    {\"object\": ", comma);
		buf_json_string(out, f->object);
		buf_puts(out, ", \"by\": ");
		buf_json_string(out, fight_opponent(&a, f));
		buf_printf(out, ", \"times\": %u}", f->undone);
		comma = ",";
	}
	buf_puts(out, *comma ? "\n  ]" : "]");
}

static void json_held(struct buf *out, const struct report *r, const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};

	if (!r->held) {
		buf_puts(out, ",\n  \"held\": null");
		return;
	}
	buf_printf(out, ",\n  \"held\": {\"generation\": \"%016llx\", \"takes\": ",
		   (unsigned long long)r->held);
	buf_json_string(out, r->takes);
	buf_puts(out, ", \"accept\": ");
	buf_json_string(out, ask_accept_command(&a, o, r->held));
	buf_puts(out, "}");
}

static void print_json(struct buf *out, const struct report *r, const struct generation *g,
		       const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	struct fates fates = policies_fates(&a, r, g);
	const char *comma = "\n";

	buf_printf(out, "{\n  \"healthy\": %s", report_is_healthy(r) ? "true" : "false");
	json_text(out, "version", VERSION);
	json_text(out, "config", o->config);
	buf_printf(out, ",\n  \"config_refused\": %s", r->trouble[0] ? "true" : "false");
	json_text(out, "config_error", r->trouble);
	json_held(out, r, o);
	json_text(out, "generation",
		  g ? arena_printf(&a, "%016llx", (unsigned long long)g->config.digest) : "");
	json_text(out, "loaded", when(&a, r->loaded_at));
	buf_printf(out, ",\n  \"engine_up\": %s", r->engine_up ? "true" : "false");
	json_text(out, "engine", r->engine);
	json_text(out, "backend", r->backend);
	buf_printf(out, ",\n  \"facts\": {\n%s  }", buf_text(&r->facts_json));
	json_text(out, "handoff", r->handoff ? r->handoff : "");
	json_text(out, "last_pass", when(&a, r->passed_at));
	json_text(out, "last_reason", r->reason);
	json_text(out, "last_error", r->error);
	buf_printf(out,
		   ",\n  \"last_pass_ms\": %.3f,\n  \"passes\": %llu,\n  \"passes_failed\": %llu",
		   (double)r->took_us / 1000, (unsigned long long)r->n_passes,
		   (unsigned long long)r->n_passes_failed);
	buf_printf(out, ",\n  \"drift_repaired\": %llu,\n  \"connections_revoked\": %llu",
		   (unsigned long long)report_repaired(r), (unsigned long long)r->n_revoked);
	buf_printf(out, ",\n  \"policies\": {\"total\": %u", fates.n);
	for (size_t i = 0; i < N_POLICY_STATES; i++)
		buf_printf(out, ", \"%s\": %u", policy_states[i], fates.in[i]);
	buf_puts(out, "}");
	policies_print_json(out, r, g, &fates);
	json_fights(out, r);
	buf_puts(out, ",\n  \"findings\": [");
	list_each (f, &r->findings.list) {
		buf_printf(out, "%s    {\"kind\": \"%s\", \"subject\": ", comma,
			   finding_names[f->kind]);
		buf_json_string(out, f->subject);
		buf_puts(out, ", \"text\": ");
		buf_json_string(out, f->text);
		if (f->origin != NONE)
			buf_printf(out, ", \"policy\": %u", f->origin);
		buf_puts(out, "}");
		comma = ",\n";
	}
	buf_puts(out, "\n  ]\n}\n");
}

void report_print(struct buf *out, const struct report *r, enum status_page page,
		  const struct generation *g, const struct options *options)
{
	switch (page) {
	case STATUS_JSON:
		print_json(out, r, g, options);
		break;
	case STATUS_TEXT:
		print_text(out, r, g, options);
		break;
	case STATUS_METRICS:
		metrics_print(out, r, g);
		break;
	case STATUS_PASS:
		break;
	}
}
