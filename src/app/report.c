/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report.h"

#include <stdio.h>
#include <string.h>

static const char *const variant_words[] = {[VARIANT_NONE] = "",
					    [VARIANT_NFT] = " (iptables-nft)",
					    [VARIANT_LEGACY] = " (iptables-legacy)"};

bool report_is_healthy(const struct report *r)
{
	return r->engine_up && !r->refused && !r->failed && !r->n_failed && !r->n_conflicts;
}

static void keep_findings(struct report *r, const struct findings *findings)
{
	arena_release(&r->arena);
	r->arena = (struct arena){0};
	r->findings = (struct findings){0};
	r->n_conflicts = 0;
	list_each (f, &findings->list) {
		finding_add(&r->findings, &r->arena, f->kind, f->origin,
			    arena_strdup(&r->arena, f->subject), "%s", f->text);
		r->n_conflicts += f->kind == FINDING_CONFLICT;
	}
}

void report_pass(struct report *r, const struct pass *p, const char *reasons, int64_t took_ms)
{
	const struct facts *f = &p->view.facts;

	keep_findings(r, &p->plan.findings);
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
	r->error[0] = '\0';
	for (uint32_t i = 0; i < p->plan.steps.n && !r->error[0]; i++)
		if (p->outcomes[i].kind == OUTCOME_FAILED)
			snprintf(r->error, sizeof(r->error), "%s", p->outcomes[i].why);
	r->passed_at = time(NULL);
	r->took_ms = took_ms;
	r->n_passes++;
	r->n_passes_failed += p->n_failed > 0;
	/* what others undid; what the file or the engine changed is no drift */
	if (strstr(reasons, "kernel") || !strcmp(reasons, "period"))
		r->n_repaired += p->n_done;
	r->n_revoked += p->n_revoked;
}

void report_failure(struct report *r, const struct error *err, const char *reasons)
{
	r->failed = true;
	r->n_passes++;
	r->n_passes_failed++;
	r->passed_at = time(NULL);
	snprintf(r->reason, sizeof(r->reason), "%s", reasons);
	snprintf(r->error, sizeof(r->error), "%s", err->text);
	snprintf(r->word, sizeof(r->word), "%.250s\n", err->text);
}

void report_release(struct report *r)
{
	arena_release(&r->arena);
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

/* Policies that wait or conflict, counted once each. */
static uint32_t count_policies(const struct report *r, enum finding_kind kind)
{
	uint32_t n = 0, last = NONE;

	list_each (f, &r->findings.list)
		if (f->kind == kind && f->origin != NONE && f->origin != last) {
			last = f->origin;
			n++;
		}
	return n;
}

static void print_text(struct buf *out, const struct report *r, const struct generation *g,
		       const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};

	buf_printf(out, "%s\n", report_is_healthy(r) ? "healthy" : "DEGRADED");
	buf_printf(out, "config     %s%s, loaded %s\n", o->config,
		   r->refused ? " (REFUSED: the last good one is in force)" : "",
		   when(&a, r->loaded_at));
	if (g)
		buf_printf(out,
			   "           %u networks, %u addresses, %u policies: %u waiting, %u in "
			   "conflict\n",
			   g->config.networks.n, g->config.addresses.n, g->config.policies.n,
			   count_policies(r, FINDING_WAITING), count_policies(r, FINDING_CONFLICT));
	buf_printf(out, "engine     %s%s\n", r->engine_up ? "" : "DOWN, last seen: ", r->engine);
	buf_printf(out, "backend    %s\n", r->backend);
	buf_printf(out, "last pass  %s, %lld ms, for %s%s%s\n", when(&a, r->passed_at),
		   (long long)r->took_ms, r->reason, r->error[0] ? ": " : "", r->error);
	buf_printf(out, "repaired   %llu changes of others; %llu revoked connections ended\n",
		   (unsigned long long)r->n_repaired, (unsigned long long)r->n_revoked);
	list_each (f, &r->findings.list)
		buf_printf(out, "%s: %s: %s\n", finding_names[f->kind], f->subject, f->text);
}

static void json_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\n  \"%s\": ", name);
	buf_json_string(out, text);
}

static void print_json(struct buf *out, const struct report *r, const struct generation *g,
		       const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	const char *comma = "\n";

	buf_printf(out, "{\n  \"healthy\": %s", report_is_healthy(r) ? "true" : "false");
	json_text(out, "version", VERSION);
	json_text(out, "config", o->config);
	buf_printf(out, ",\n  \"config_refused\": %s", r->refused ? "true" : "false");
	json_text(out, "generation",
		  g ? arena_printf(&a, "%016llx", (unsigned long long)g->config.digest) : "");
	json_text(out, "loaded", when(&a, r->loaded_at));
	buf_printf(out, ",\n  \"engine_up\": %s", r->engine_up ? "true" : "false");
	json_text(out, "engine", r->engine);
	json_text(out, "backend", r->backend);
	json_text(out, "last_pass", when(&a, r->passed_at));
	json_text(out, "last_reason", r->reason);
	json_text(out, "last_error", r->error);
	buf_printf(out,
		   ",\n  \"last_pass_ms\": %lld,\n  \"passes\": %llu,\n  \"passes_failed\": %llu",
		   (long long)r->took_ms, (unsigned long long)r->n_passes,
		   (unsigned long long)r->n_passes_failed);
	buf_printf(out, ",\n  \"drift_repaired\": %llu,\n  \"connections_revoked\": %llu",
		   (unsigned long long)r->n_repaired, (unsigned long long)r->n_revoked);
	buf_printf(out, ",\n  \"policies\": {\"total\": %u, \"waiting\": %u, \"conflict\": %u}",
		   g ? g->config.policies.n : 0, count_policies(r, FINDING_WAITING),
		   count_policies(r, FINDING_CONFLICT));
	buf_puts(out, ",\n  \"findings\": [");
	list_each (f, &r->findings.list) {
		buf_printf(out, "%s    {\"kind\": \"%s\", \"subject\": ", comma,
			   finding_names[f->kind]);
		buf_json_string(out, f->subject);
		buf_puts(out, ", \"text\": ");
		buf_json_string(out, f->text);
		buf_puts(out, "}");
		comma = ",\n";
	}
	buf_puts(out, "\n  ]\n}\n");
}

static void print_metrics(struct buf *out, const struct report *r, const struct generation *g)
{
	uint32_t total = g ? g->config.policies.n : 0;
	uint32_t waiting = count_policies(r, FINDING_WAITING);
	uint32_t conflict = count_policies(r, FINDING_CONFLICT);

	buf_puts(out, "# TYPE harborwall_build_info gauge\n");
	buf_printf(out, "harborwall_build_info{version=\"%s\"} 1\n", VERSION);
	buf_puts(out, "# TYPE harborwall_config_last_reload_successful gauge\n");
	buf_printf(out, "harborwall_config_last_reload_successful %d\n", !r->refused);
	buf_puts(out, "# TYPE harborwall_config_last_reload_timestamp_seconds gauge\n");
	buf_printf(out, "harborwall_config_last_reload_timestamp_seconds %lld\n",
		   (long long)r->loaded_at);
	buf_puts(out, "# TYPE harborwall_reconcile_total counter\n");
	buf_printf(out, "harborwall_reconcile_total{result=\"ok\"} %llu\n",
		   (unsigned long long)(r->n_passes - r->n_passes_failed));
	buf_printf(out, "harborwall_reconcile_total{result=\"error\"} %llu\n",
		   (unsigned long long)r->n_passes_failed);
	buf_puts(out, "# TYPE harborwall_drift_repaired_total counter\n");
	buf_printf(out, "harborwall_drift_repaired_total %llu\n",
		   (unsigned long long)r->n_repaired);
	buf_puts(out, "# TYPE harborwall_policies gauge\n");
	buf_printf(out, "harborwall_policies{state=\"active\"} %u\n", total - waiting - conflict);
	buf_printf(out, "harborwall_policies{state=\"waiting\"} %u\n", waiting);
	buf_printf(out, "harborwall_policies{state=\"conflict\"} %u\n", conflict);
	buf_puts(out, "# TYPE harborwall_docker_up gauge\n");
	buf_printf(out, "harborwall_docker_up %d\n", r->engine_up);
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
		print_metrics(out, r, g);
		break;
	case N_STATUS_PAGES:
		break;
	}
}
