/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb run: waits for reasons and makes passes. One epoll loop; its sources only note why a
 * pass is due, and all work is done between two waits. A failed pass leaves everything as it is and
 * is tried again.
 */
#include "app/console/verbs.h"
#include "app/daemon/ask.h"
#include "app/daemon/auditor.h"
#include "app/daemon/closing.h"
#include "app/daemon/flows_told.h"
#include "app/daemon/logbook.h"
#include "app/daemon/pace.h"
#include "app/daemon/source.h"
#include "app/daemon/trial.h"
#include "app/daemon/triggers.h"
#include "app/daemon/zones.h"
#include "app/observe/place.h"
#include "app/report/audited.h"
#include "app/report/page.h"
#include "app/report/telling.h"
#include "app/world/written.h"
#include "base/log.h"
#include "edge/host/notify.h"
#include "edge/host/sandbox.h"
#include "edge/host/status.h"

#include <malloc.h>

struct daemon {
	const struct options *options;
	struct world world;
	struct source source;
	struct triggers triggers;
	struct status_server *status;
	struct zones zones;
	struct report report;
	struct fights fights;
	struct counts counts;
	struct logbook logbook;
	struct auditor auditor;
	int lock;
	enum closing closing;
	bool misplaced; /* it was started outside of the engine's network namespace */

	struct pace pace;
	uint64_t said; /* hash of the findings that were logged last */
};

/* --- a pass --- */

/* A firewalld reload is not a program that fights us, so put everything back at once. */
static void follow_firewalld(struct daemon *d)
{
	if (!d->triggers.firewalld_reloaded)
		return;
	d->triggers.firewalld_reloaded = false;
	fights_forget(&d->fights);
	zones_restore(&d->zones);
}

static void finish_pass(struct daemon *d, struct pass *p, const char *reasons, int64_t started,
			bool drift)
{
	AUTO_RELEASE struct arena a = {0};

	tell_outcomes(p);
	tell_findings(&d->said, p);
	if (p->n_done || p->n_failed)
		log_info("pass", "reason", reasons, "#done", arena_printf(&a, "%u", p->n_done),
			 "#failed", p->n_failed ? arena_printf(&a, "%u", p->n_failed) : NULL, "#ms",
			 arena_printf(&a, "%lld", (long long)(clock_us() - started) / 1000));
	if (p->n_revoked)
		log_info("revoked connections ended", "#connections",
			 arena_printf(&a, "%u", p->n_revoked));
	if (p->trouble.text[0])
		log_error("revoke", "error", p->trouble.text);
	report_pass(&d->report, p, reasons, clock_us() - started, drift);
	/* the process of a container may have changed without a new event */
	if (p->n_failed || p->trouble.text[0] || p->view.anybody_gone) {
		triggers_retry(&d->triggers);
		return;
	}
	if (p->view.engine.up)
		triggers_no_retry(&d->triggers);
	if (p->view.facts.direct_doubted)
		d->triggers.retry_at = clock_ms() + DIRECT_DOUBT_MS;
	if (p->n_done && p->view.engine.up)
		d->triggers.reasons |= REASON_VERIFY;
}

/* Once for each new file, after its pass. */
static void tell_flows(struct daemon *d, const struct pass *p)
{
	if (!d->source.replaced || p->unchanged)
		return;
	flows_told(d->source.replaced, d->source.current, p);
	source_compared(&d->source);
}

/* A trial is told until the pass behind it has put everything back. */
static void note_time_left(struct daemon *d)
{
	d->report.tried_left_s = d->report.tried ? trial_left_s(d->source.tried_until_ms) : 0;
}

static void publish(struct daemon *d)
{
	AUTO_BUF struct buf text = {0};

	d->report.engine_up = d->triggers.stream_up;
	d->report.trouble = d->source.trouble;
	d->report.held = d->source.held;
	d->report.takes = buf_text(&d->source.takes);
	d->report.tried = d->source.tried;
	note_time_left(d);
	d->report.loaded_at = d->source.loaded_at;
	buf_puts(&text, "READY=1\nSTATUS=");
	page_line(&text, &d->report, d->source.current, d->options);
	notify_send(buf_text(&text));
}

/* Type=notify-reload: READY=1 afterwards ends the reload. */
static void tell_reloading(void)
{
	AUTO_RELEASE struct arena a = {0};

	notify_send(arena_printf(&a, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_us()));
}

/* Docker's drops are gone, but our table was compiled while they were there. */
static bool is_open(const struct pass *p)
{
	return !p->view.facts.docker_drops &&
	       ruleset_find_set(&p->want.spaces.items[0].ruleset, "closed") &&
	       !ruleset_find_set(&p->view.seen.have.spaces.items[0].ruleset, "closed");
}

/*
 * Without an engine nothing that exists is changed, because the containers are unknown. But a host
 * without our table (after a boot or a flush), or where nobody drops anything, gets what the file
 * alone says, closed where Docker would close it.
 */
static bool plan_pass(struct daemon *d, struct pass *p, struct error *err)
{
	bool planned = pass_plan(p, &d->world, d->source.current, err);

	/* TERM ends the waiting for an answer, and nothing else begins then */
	if (planned || !d->world.engine_trouble.text[0] || d->triggers.stopping)
		return planned;
	pass_release(p);
	d->world.without_engine = true;
	*err = (struct error){0};
	planned = pass_plan(p, &d->world, d->source.current, err);
	d->world.without_engine = false;
	if (planned && !d->world.engine_trouble.text[0])
		return true; /* the engine answers again */
	if (planned && (pass_finds_no_rules(p) || is_open(p) || d->closing == CLOSING_ALONE)) {
		log_warn("no engine: the file alone is enforced", "error",
			 d->world.engine_trouble.text);
		triggers_retry(&d->triggers);
		return true;
	}
	if (planned)
		*err = d->world.engine_trouble;
	return false;
}

/*
 * The first pass of a new file decides whether it is held. If it is, the file before it stays in
 * force.
 */
static bool plan_weighed_pass(struct daemon *d, struct pass *p, struct error *err)
{
	bool planned = plan_pass(d, p, err);

	if (planned || !p->want.refused || !source_refuse(&d->source, p->want.refused))
		if (source_weigh(&d->source, &p->view, planned))
			return planned;
	pass_release(p);
	*err = (struct error){0};
	if (!d->source.current)
		return error_set(err, -1, "the file is held, and no other one is in force");
	return plan_pass(d, p, err);
}

/* No new file, no engine event, no request: only drift. */
static bool only_looks(uint32_t reasons)
{
	return !(reasons &
		 ~(uint32_t)(REASON_KERNEL | REASON_PERIOD | REASON_VERIFY | REASON_RETRY));
}

/* A list that is named for the first time may have changed before it was watched. */
static bool reload(struct daemon *d)
{
	AUTO_RELEASE struct arena a = {0};
	bool changed = source_reload(&d->source);
	name_list paths = {0};

	list_each (seen, &d->source.seen)
		*list_add(&a, &paths) = seen->path;
	if (paths.n && triggers_watch(&d->triggers, paths.items, paths.n))
		changed |= source_reload(&d->source);
	return changed;
}

/* True: the wanted state has changed. */
static bool read_file(struct daemon *d)
{
	const uint32_t readers = REASON_START | REASON_FILE | REASON_SIGNAL | REASON_PERIOD |
				 REASON_ASKED | REASON_TRIAL;
	bool changed;

	if (d->triggers.reasons & REASON_ASKED && status_accepts(d->status))
		source_accept(&d->source, status_accepts(d->status));
	changed = d->triggers.reasons & readers && reload(d);
	if (!d->source.current && d->triggers.reasons & REASON_START)
		source_load_last_good(&d->source);
	return changed;
}

/*
 * If another program keeps undoing a change, wait before repairing it, unless something new is
 * wanted.
 */
static void carry_out(struct daemon *d, struct pass *p, bool looks)
{
	if (looks)
		fights_hold_back(&d->fights, p, clock_ms());
	closing_replace(&d->closing, p);
	pass_apply(p, &d->world);
	fights_note(&d->fights, p, looks, clock_ms());
	d->triggers.drift_at = fights_next_ms(&d->fights, clock_ms());
}

/* The accepted digest is that of another file: nothing is accepted. */
static void answer_pass(struct daemon *d)
{
	AUTO_BUF struct buf text = {0};
	uint64_t accepts = status_accepts(d->status);
	bool other = accepts && (!d->source.current || d->source.held ||
				 d->source.current->config.digest != accepts);

	buf_puts(&text, d->report.word);
	if (other)
		buf_printf(&text, "nothing accepted: the file is no longer %016llx\n",
			   (unsigned long long)accepts);
	page_held(&text, &d->report, d->options);
	if (d->source.trouble[0])
		buf_printf(&text, "refused: %s\n", d->source.trouble);
	status_answer(d->status, STATUS_PASS,
		      !other && !d->source.held && !d->source.trouble[0] && !d->report.failed &&
			      !d->report.n_failed,
		      buf_text(&text));
}

static void make_pass(struct daemon *d)
{
	AUTO_RELEASE struct arena a = {0};
	uint32_t why = d->triggers.reasons;
	const char *reasons = reasons_text(&a, why);
	int64_t started = clock_us();
	struct error err = {0};
	struct pass pass = {0};
	bool changed, looks;

	if (why & REASON_SIGNAL)
		tell_reloading();
	status_serve(d->status, STATUS_PASS);
	changed = read_file(d);
	d->triggers.current = d->source.current;
	looks = !changed && only_looks(why);
	d->world.use_cached_engine =
		!(why & ~(uint32_t)(REASON_KERNEL | REASON_VERIFY | REASON_TARGET)) &&
		d->triggers.stream_up;
	if (why & REASON_PERIOD)
		written_verify(&d->world);
	d->triggers.reasons = 0;
	d->triggers.death_at = FOREVER;
	if (changed)
		fights_forget(&d->fights);
	if (changed || why & (REASON_SIGNAL | REASON_ASKED))
		refusals_forget(&d->world);
	if (!d->source.current) {
		error_set(&err, -1, "there is no valid file yet");
		report_failure(&d->report, &err, reasons, clock_us() - started);
	} else if (why == REASON_FILE && !changed) {
		; /* only touched, or another file in the folder: nothing to do */
	} else if (plan_weighed_pass(d, &pass, &err)) {
		carry_out(d, &pass, looks);
		zones_note(&d->zones, &pass, d->source.current);
		finish_pass(d, &pass, reasons, started,
			    looks && why & (REASON_KERNEL | REASON_PERIOD));
		tell_flows(d, &pass);
	} else {
		log_error("pass failed, what stands stays", "reason", reasons, "error", err.text);
		report_failure(&d->report, &err, reasons, clock_us() - started);
		triggers_retry(&d->triggers);
		/* at the start this is fatal; later it may be a mistake of the engine */
		d->misplaced = err.code == ELSEWHERE && why & REASON_START;
		d->triggers.stopping |= d->misplaced;
	}
	d->triggers.trial_at =
		d->source.tried ? clock_ms() + d->source.tried_until_ms - clock_boot_ms() : FOREVER;
	auditor_follow(&d->auditor, d->source.current);
	logbook_follow(&d->logbook, d->source.current, &d->triggers);
	publish(d);
	if (why & REASON_ASKED)
		answer_pass(d);
	pass_release(&pass);
	pace_note(&d->pace, why);
}

/* --- the loop --- */

/* True: a pass was made. */
static bool pass_if_due(struct daemon *d)
{
	int64_t at = pace_pass_at(&d->pace, d->triggers.reasons);

	if (at == FOREVER || clock_ms() < at)
		return false;
	make_pass(d);
	return true;
}

static const enum status_page questions[] = {STATUS_JSON, STATUS_TEXT, STATUS_METRICS,
					     STATUS_AUDIT_JSON, STATUS_AUDIT_TEXT};

static const char *why_blind(const struct daemon *d)
{
	if (!d->source.current)
		return "no file is in force";
	if (!d->source.current->config.audits && !d->source.current->config.watches)
		return NULL;
	if (d->source.current->config.watches &&
	    d->report.compiled_with.backend != BACKEND_NFTABLES)
		return "the iptables backends do not see isolation \"audit\"; use "
		       "HARBORWALL_BACKEND=nftables";
	if (d->report.compiled_with.unlogged)
		return d->report.compiled_with.unlogged;
	return d->logbook.fd < 0 ? "the kernel's reports can't be heard; the log says why" : NULL;
}

static void print_page(struct buf *out, const struct daemon *d, enum status_page page)
{
	const struct config none = {0};
	const struct config *config = d->source.current ? &d->source.current->config : &none;

	if (page == STATUS_AUDIT_JSON)
		audited_print_json(out, &d->auditor.audit, config, why_blind(d));
	else if (page == STATUS_AUDIT_TEXT)
		audited_print(out, &d->auditor.audit, config, why_blind(d));
	else
		page_print(out, &d->report, page, d->source.current, d->options);
}

/* Counters are read on request, never in a pass. True: somebody asked. */
static bool answer_questions(struct daemon *d)
{
	bool any = false;

	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		enum status_page page = questions[i];
		AUTO_BUF struct buf text = {0};

		if (!status_is_asked(d->status, page))
			continue;
		if (d->source.current)
			counts_read(&d->counts, &d->world, &d->report.compiled_with,
				    d->source.current);
		status_serve(d->status, page);
		note_time_left(d);
		print_page(&text, d, page);
		status_answer(d->status, page, true, buf_text(&text));
		any = true;
	}
	return any;
}

static bool is_questioned(const struct daemon *d)
{
	for (size_t i = 0; i < COUNT_OF(questions); i++)
		if (status_is_asked(d->status, questions[i]))
			return true;
	return false;
}

/*
 * An engine may take ten seconds and more for each answer: who asks for the status is told what was
 * known before, and who ends the daemon need not wait.
 */
static bool attend(void *daemon)
{
	struct daemon *d = daemon;

	triggers_attend(&d->triggers);
	answer_questions(d);
	return !d->triggers.stopping;
}

static void save_audit(struct daemon *d)
{
	int64_t next_ms = auditor_run(&d->auditor, d->options);

	if (next_ms >= 0 && (d->triggers.log_at == FOREVER || next_ms < d->triggers.log_at))
		d->triggers.log_at = next_ms;
}

static void loop(struct daemon *d)
{
	bool passed, answered;

	while (!d->triggers.stopping) {
		/* requests that came while another one was answered */
		triggers_wait(&d->triggers, is_questioned(d)
						    ? clock_ms()
						    : pace_pass_at(&d->pace, d->triggers.reasons));
		follow_firewalld(d);
		logbook_run(&d->logbook, d->source.current, &d->triggers);
		save_audit(d);
		passed = pass_if_due(d);
		answered = answer_questions(d);
		if (passed || answered)
			malloc_trim(0); /* return memory to the kernel; this walks the whole heap */
	}
}

static bool daemon_open(struct daemon *d, const struct options *options, struct error *err)
{
	*d = (struct daemon){.options = options,
			     .source = {.options = options},
			     .report = {.fights = &d->fights,
					.counts = &d->counts,
					.journal = &d->logbook.journal,
					.audit = &d->auditor.audit,
					.trouble = "",
					.takes = ""},
			     .triggers = TRIGGERS_INIT,
			     .logbook = LOGBOOK_INIT,
			     .lock = -1,
			     .pace = pace_begin()};
	d->logbook.audit = &d->auditor.audit;
	if (!triggers_hold_signals(err) || !world_open(&d->world, options, err) ||
	    (d->lock = ask_for_lock(options->verb, err)) < 0)
		return false;
	auditor_load(&d->auditor, options);
	d->status = status_open(options->listen, err);
	d->zones.bus = firewalld_bus_open(err);
	if (!d->status || !d->zones.bus ||
	    !triggers_open(&d->triggers, options, &d->world, d->status, d->zones.bus, err))
		return false;
	docker_set_meanwhile(
		d->world.docker,
		&(struct docker_meanwhile){.fds = {status_fd(d->status), d->triggers.signals,
						   d->world.host.route_event_fd},
					   .take = attend,
					   .context = d});
	return true;
}

static void daemon_close(struct daemon *d)
{
	triggers_close(&d->triggers);
	source_release(&d->source);
	status_close(d->status);
	zones_close(&d->zones);
	report_release(&d->report);
	counts_release(&d->counts);
	auditor_close(&d->auditor, d->options);
	logbook_close(&d->logbook);
	close_at_exit_of_scope(&d->lock);
	world_close(&d->world);
}

static bool sandboxed(struct error *err)
{
	AUTO_BUF struct buf kept = {0};

	if (!sandbox_enter(&kept, err))
		return false;
	log_info("privileges", "kept", buf_text(&kept));
	return true;
}

int verb_run(const struct options *options)
{
	struct daemon d;
	struct error err = {0};
	bool opened = daemon_open(&d, options, &err);

	if (opened && sandboxed(&err)) {
		log_info("started", "version", VERSION, "config", options->config);
		/* Docker starts now: the first pass waits for it, so it must not wait for that */
		if (closing_begin(&d.closing, &d.world, options))
			notify_send("READY=1");
		loop(&d);
		notify_send("STOPPING=1");
		log_info("stopped, the rules stay");
	} else {
		log_error("start", "error", err.text);
		opened = false;
	}
	daemon_close(&d);
	return opened && !d.misplaced ? EXIT_FINE : EXIT_FAILED;
}
