/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/page.h"

#include "app/console/say.h"
#include "app/report/drops.h"
#include "app/report/metrics.h"
#include "app/report/policies.h"
#include "base/foreign.h"

#include <string.h>

enum {
	MANY = 50, /* findings that people are shown */
	SOME = 5,  /* warnings about the file */
};

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

void page_held(struct buf *out, const struct report *r, const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};

	if (r->held)
		buf_printf(out, "held: the new file is not enforced: %s; to accept it: %s\n",
			   r->takes, accept_command(&a, o, r->held));
}

static void print_trial(struct buf *out, const struct report *r, const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};

	if (r->tried)
		buf_printf(out,
			   "trial      %s, %u s left: %s keeps it, otherwise the last good one is "
			   "in force again\n",
			   digest_text(&a, r->tried), r->tried_left_s,
			   confirm_command(&a, o, "yes"));
}

/* One line, for the service manager. */
void page_line(struct buf *out, const struct report *r, const struct generation *g,
	       const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	uint32_t total = g ? g->config.policies.n : 0;
	size_t start = out->len;

	buf_puts(out, report_is_healthy(r) ? "healthy" : "DEGRADED");
	if (r->held)
		buf_printf(out, ": the new file is held, accept it with %s",
			   accept_command(&a, o, r->held));
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
		buf_printf(out, ": other people's rules stop, or may stop, %u policies",
			   r->n_stopped);
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

/* What the file says about a policy as a whole; what waits is a finding, too. */
static bool is_about_policy(const struct diag *diag)
{
	return diag->severity == SEVERITY_WARNING && !strncmp(diag->path, "policies[", 9) &&
	       !strchr(diag->path, '.');
}

static void print_warnings(struct buf *out, const struct generation *g)
{
	uint32_t n = 0;

	list_each (diag, &g->diags.list)
		if (is_about_policy(diag) && n++ < SOME)
			buf_line(out, "warning: %s: %s", diag->path, diag->message);
	if (n > SOME)
		buf_line(out, "… and %u more warnings (harborwall check shows them)", n - SOME);
}

static void json_warnings(struct buf *out, const struct generation *g)
{
	const char *comma = "";

	buf_puts(out, ",\n  \"warnings\": [");
	for (uint32_t i = 0; g && i < g->diags.list.n; i++) {
		const struct diag *diag = &g->diags.list.items[i];

		if (!is_about_policy(diag))
			continue;
		buf_printf(out, "%s\n    {\"line\": %u, \"column\": %u, \"path\": ", comma,
			   diag->line, diag->column);
		buf_json_string(out, diag->path);
		buf_json_member(out, ", ", "message", diag->message);
		buf_puts(out, "}");
		comma = ",";
	}
	buf_puts(out, *comma ? "\n  ]" : "]");
}

static const char *audit_state(const struct audit *audit)
{
	if (audit_refuses(audit, true))
		return audit_refuses(audit, false)
			       ? "egress deny and isolation strict would refuse something"
			       : "isolation strict would refuse something";
	return audit_is_empty(audit) ? "nothing would be refused"
				     : "egress deny would refuse something";
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
	page_held(out, r, o);
	print_trial(out, r, o);
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
	buf_line(out, "drift      repaired: %llu; revoked connections ended: %llu",
		 (unsigned long long)report_repaired(r), (unsigned long long)r->n_revoked);
	policies_print_never_hit(out, r, g, &fates);
	print_fights(out, r);
	if (g)
		drops_print(out, r->journal, &g->config);
	if (r->audit->networks.n)
		buf_line(out, "audit: %s (harborwall audit)", audit_state(r->audit));
	print_findings(out, &r->findings);
	if (g)
		print_warnings(out, g);
}

static void json_text(struct buf *out, const char *name, const char *text)
{
	buf_json_member(out, ",\n  ", name, text);
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
		buf_json_member(out, ", ", "by", fight_opponent(&a, f));
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
	buf_json_member(out, ", ", "accept", accept_command(&a, o, r->held));
	buf_puts(out, "}");
}

static void json_trial(struct buf *out, const struct report *r, const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};

	if (!r->tried) {
		buf_puts(out, ",\n  \"trial\": null");
		return;
	}
	buf_printf(out,
		   ",\n  \"trial\": {\"generation\": \"%s\", \"seconds_left\": %u, \"confirm\": ",
		   digest_text(&a, r->tried), r->tried_left_s);
	buf_json_string(out, confirm_command(&a, o, "yes"));
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
	json_trial(out, r, o);
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
	if (policies_are_counted(r, g))
		buf_printf(out, ", \"never_hit\": %u", policies_never_hit(r, g, &fates));
	buf_puts(out, "}");
	policies_print_json(out, r, g, &fates);
	json_fights(out, r);
	buf_puts(out, ",\n  \"dropped\": ");
	if (g)
		drops_print_json(out, r->journal, &g->config);
	else
		buf_puts(out, "[]");
	json_warnings(out, g);
	buf_puts(out, ",\n  \"findings\": [");
	list_each (f, &r->findings.list) {
		buf_printf(out, "%s    {\"kind\": \"%s\", \"subject\": ", comma,
			   finding_names[f->kind]);
		buf_json_string(out, f->subject);
		buf_json_member(out, ", ", "text", f->text);
		if (f->origin != NONE)
			buf_printf(out, ", \"policy\": %u", f->origin);
		buf_puts(out, "}");
		comma = ",\n";
	}
	buf_puts(out, "\n  ]\n}\n");
}

void page_print(struct buf *out, const struct report *r, enum status_page page,
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
	case STATUS_AUDIT_JSON:
	case STATUS_AUDIT_TEXT: /* audited.h */
	case STATUS_PASS:
		break;
	}
}
