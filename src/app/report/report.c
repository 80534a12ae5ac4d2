/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/report.h"

#include "core/state/facts.h"

#include <stdio.h>
#include <string.h>

static const char *const variant_words[] = {[VARIANT_NONE] = "",
					    [VARIANT_NFT] = " (iptables-nft)",
					    [VARIANT_LEGACY] = " (iptables-legacy)"};

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
	findings_copy(&r->findings, &r->arena, findings);
	list_each (f, &findings->list) {
		r->n_conflicts += f->kind == FINDING_CONFLICT;
		r->n_stopped += f->effect != NO_EFFECT;
	}
}

const char *const drift_objects[N_DRIFT_OBJECTS] = {"network", "connection", "forwarding", "policy",
						    "route",   "firewall",   "hand-off",   "ports"};

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

/* From the last pass that could look. */
static void keep_facts(struct report *r, const struct pass *p)
{
	buf_clear(&r->facts);
	buf_clear(&r->facts_json);
	facts_print(&r->facts, &p->view.engine, &p->view.facts);
	facts_print_json(&r->facts_json, &p->view.engine, &p->view.facts, "    ");
}

/* The facts without findings, which belong to the pass. */
static void keep_compiled_with(struct report *r, const struct facts *facts)
{
	r->compiled_with = *facts;
	r->compiled_with.open_why = NULL;
	r->compiled_with.no_engine = NULL;
	r->compiled_with.elsewhere = NULL;
	r->compiled_with.unlogged =
		facts->unlogged ? "the tools of iptables can't log here; plan says why" : NULL;
	r->compiled_with.firewalld = (struct firewalld){0};
	r->compiled_with.routed = NULL;
	r->compiled_with.n_routed = 0;
	r->compiled_with.routings = NULL;
	r->compiled_with.bridges = NULL;
	r->compiled_with.devices = (interfaces){0};
	r->compiled_with.strict_ports = (interfaces){0};
	memset(&r->compiled_with.routes, 0, sizeof(r->compiled_with.routes));
}

static void keep_failures(struct report *r, const struct pass *p)
{
	r->error[0] = '\0';
	r->rules_failed = false;
	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		if (p->outcomes[i].kind != OUTCOME_FAILED)
			continue;
		r->rules_failed |= step_is_rules(&p->plan.steps.items[i]) &&
				   p->plan.steps.items[i].have_space == 0;
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
