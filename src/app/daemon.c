/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb run: waits for reasons and makes passes. One epoll loop; its sources only note why a
 * pass is due, all work is done between two waits. What fails changes nothing that stands and is
 * tried again.
 */
#include "app/pass.h"
#include "app/report.h"
#include "app/verbs.h"
#include "base/log.h"
#include "edge/file.h"
#include "edge/lock.h"
#include "edge/notify.h"
#include "edge/sandbox.h"
#include "edge/status.h"
#include "edge/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
	GAP_MS = 100,	   /* between two passes: what comes meanwhile is collected */
	MAX_GAP_MS = 1000, /* … in a storm: */
	WARM = 10,	   /* so many passes in a row widen the gap, */
	COOLING_MS = 500,  /* and each is forgotten after this */
	RETRY_MS = 500,	   /* after a failure, doubling */
	MAX_RETRY_MS = 60000,
	FOREVER = -1,
};

enum reason {
	REASON_START = 1 << 0,
	REASON_FILE = 1 << 1,
	REASON_ENGINE = 1 << 2,
	REASON_SIGNAL = 1 << 3,
	REASON_PERIOD = 1 << 4,
	REASON_RETRY = 1 << 5,
	REASON_VERIFY = 1 << 6, /* a pass that changed something is followed by one that looks */
	REASON_KERNEL = 1 << 7, /* somebody changed rules or routes */
	REASON_ASKED = 1 << 8,	/* POST /pass */
};

static const char *const reason_names[] = {"start", "file",   "engine", "signal", "period",
					   "retry", "verify", "kernel", "asked"};

struct daemon {
	const struct options *options;
	struct world world;
	struct generation *current; /* the last good one, NULL until there is one */
	uint64_t digest;	    /* of the file as last seen, good or bad */
	bool file_known;
	struct watch watch;
	int epoll, signals;
	bool stopping, stream_up;

	uint32_t reasons;
	int64_t last_pass_ms, cooled_ms;
	int64_t heat;				/* passes not yet forgotten */
	int64_t period_at, retry_at, stream_at; /* FOREVER: not set */
	int64_t retry_ms, stream_retry_ms;
	uint64_t said; /* hash of the findings that were logged last */

	int lock;
	struct status_server *status;
	struct report report;
	bool asked; /* somebody waits at the socket for a pass */
	int64_t watchdog_at, watchdog_ms;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *reasons_text(struct arena *a, uint32_t reasons)
{
	const char *text = "";

	for (size_t i = 0; i < COUNT_OF(reason_names); i++)
		if (reasons & 1u << i)
			text = arena_printf(a, "%s%s%s", text, *text ? "," : "", reason_names[i]);
	return text;
}

/* --- the file --- */

static void log_diags(struct generation *g)
{
	list_each (diag, &g->diags.list) {
		const char *text = diag_format(&g->arena, g->config.file, diag);

		if (diag->severity == SEVERITY_ERROR)
			log_error("config", "error", text);
		else if (diag->severity == SEVERITY_WARNING)
			log_warn("config", "warning", text);
	}
}

static void accept_generation(struct daemon *d, struct generation *g)
{
	AUTO_RELEASE struct arena a = {0};

	if (d->current)
		generation_release(d->current);
	free(d->current);
	d->current = g;
	d->report.refused = false;
	d->report.loaded_at = time(NULL);
	log_info("config loaded", "file", d->options->config, "networks",
		 arena_printf(&a, "%u", g->config.networks.n), "addresses",
		 arena_printf(&a, "%u", g->config.addresses.n), "policies",
		 arena_printf(&a, "%u", g->config.policies.n));
}

/* Beside the state file: what to enforce when the next start finds no file, or a broken one. */
static const char *last_good_path(const struct daemon *d, struct arena *a)
{
	const char *slash = strrchr(d->options->state, '/');

	return slash ? arena_printf(a, "%.*s/last-good.json", (int)(slash - d->options->state),
				    d->options->state)
		     : "last-good.json";
}

static void keep_last_good(const struct daemon *d, const struct buf *text)
{
	AUTO_RELEASE struct arena a = {0};
	struct error err = {0};

	if (!file_replace(last_good_path(d, &a), buf_text(text), text->len, 0600, &err))
		log_warn("last good config not kept", "error", err.text);
}

/* At a start without a file that can be enforced. */
static void load_last_good(struct daemon *d)
{
	AUTO_RELEASE struct arena a = {0};
	const char *path = last_good_path(d, &a);
	AUTO_BUF struct buf text = {0};
	struct generation *g;
	struct error err = {0};

	if (!file_read(&text, path, CONFIG_MAX_BYTES, &err))
		return;
	g = xmalloc(sizeof(*g));
	if (!generation_load(g, d->options->config, &text, &err)) {
		generation_release(g);
		free(g);
		return;
	}
	log_warn("the last good config is enforced instead", "file", path);
	d->current = g;
}

/* Looks whether the file has other bytes than last time. True if there is a new generation. */
static bool reload(struct daemon *d)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};
	struct generation *g;
	uint64_t digest;

	if (!file_read(&text, d->options->config, CONFIG_MAX_BYTES, &err)) {
		if (d->file_known || !d->digest)
			log_error("config unreadable, what stands stays", "error", err.text);
		d->file_known = false;
		d->digest = 1;
		return false;
	}
	digest = config_digest(text.data, text.len);
	if (d->file_known && digest == d->digest)
		return false;
	d->file_known = true;
	d->digest = digest;
	g = xmalloc(sizeof(*g));
	if (generation_load(g, d->options->config, &text, &err)) {
		log_diags(g);
		accept_generation(d, g);
		keep_last_good(d, &text);
		return true;
	}
	log_diags(g);
	log_error("config refused, what stands stays", "error", err.text);
	d->report.refused = true;
	generation_release(g);
	free(g);
	return false;
}

/* --- a pass --- */

static void log_outcomes(const struct pass *p)
{
	static const char *const words[] = {[OUTCOME_DONE] = "done",
					    [OUTCOME_FAILED] = "failed",
					    [OUTCOME_SKIPPED] = "skipped"};
	static const enum log_level levels[] = {[OUTCOME_DONE] = LOG_INFO_LEVEL,
						[OUTCOME_FAILED] = LOG_ERROR_LEVEL,
						[OUTCOME_SKIPPED] = LOG_WARN_LEVEL};

	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct step *step = &p->plan.steps.items[i];
		const struct outcome *o = &p->outcomes[i];
		const char sign[] = {step->sign, 0};

		log_event(levels[o->kind], "step", "action", sign, "object", step->object, "text",
			  step->text, "policy", *step->why ? step->why : NULL, "outcome",
			  o->kind == OUTCOME_DONE ? NULL : words[o->kind], "error", o->why, NULL);
	}
}

/* Conflicts and waiting policies are said when they come or change, not in every pass. */
static void log_findings(struct daemon *d, const struct pass *p)
{
	static const enum log_level levels[] = {[FINDING_WAITING] = LOG_INFO_LEVEL,
						[FINDING_CONFLICT] = LOG_ERROR_LEVEL,
						[FINDING_WARNING] = LOG_WARN_LEVEL,
						[FINDING_NOTE] = LOG_DEBUG_LEVEL};
	uint64_t hash = 1;

	list_each (f, &p->plan.findings.list)
		for (const char *c = f->text; *c; c++)
			hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
	if (hash == d->said)
		return;
	d->said = hash;
	list_each (f, &p->plan.findings.list)
		log_event(levels[f->kind], finding_names[f->kind], "subject", f->subject, "text",
			  f->text, NULL);
}

static void retry_later(struct daemon *d)
{
	d->retry_at = now_ms() + d->retry_ms;
	d->retry_ms = d->retry_ms * 2 > MAX_RETRY_MS ? MAX_RETRY_MS : d->retry_ms * 2;
}

static void finish_pass(struct daemon *d, struct pass *p, const char *reasons, int64_t started)
{
	AUTO_RELEASE struct arena a = {0};

	log_outcomes(p);
	log_findings(d, p);
	if (p->plan.steps.n)
		log_info("pass", "reason", reasons, "done", arena_printf(&a, "%u", p->n_done),
			 "failed", p->n_failed ? arena_printf(&a, "%u", p->n_failed) : NULL, "ms",
			 arena_printf(&a, "%lld", (long long)(now_ms() - started)));
	if (p->n_revoked)
		log_info("revoked connections ended", "connections",
			 arena_printf(&a, "%u", p->n_revoked));
	if (p->trouble.text[0])
		log_error("revoke", "error", p->trouble.text);
	report_pass(&d->report, p, reasons, now_ms() - started);
	if (p->n_failed || p->trouble.text[0]) {
		retry_later(d);
		return;
	}
	if (p->view.engine.up) {
		d->retry_at = FOREVER;
		d->retry_ms = RETRY_MS;
	}
	if (p->n_done && p->view.engine.up)
		d->reasons |= REASON_VERIFY;
}

static void publish(struct daemon *d)
{
	static const enum status_page pages[] = {STATUS_JSON, STATUS_TEXT, STATUS_METRICS};
	AUTO_BUF struct buf text = {0};

	d->report.engine_up = d->stream_up;
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		buf_clear(&text);
		report_print(&text, &d->report, pages[i], d->current, d->options);
		status_publish(d->status, pages[i], buf_text(&text));
	}
	buf_clear(&text);
	buf_printf(&text, "READY=1\nSTATUS=%s", d->report.word);
	notify_send(buf_text(&text));
}

static bool is_bare(const struct pass *p)
{
	const struct space *host = &p->view.seen.have.spaces.items[0];

	return !host->ruleset.exists && !host->chains.n;
}

/* Docker's drops are gone, and our table was made when they stood. */
static bool is_open(const struct pass *p)
{
	return !p->view.facts.docker_drops &&
	       ruleset_find_set(&p->want.spaces.items[0].ruleset, "closed") &&
	       !ruleset_find_set(&p->view.seen.have.spaces.items[0].ruleset, "closed");
}

/*
 * Without an engine nothing that stands is changed, for what its containers are can't be known. But
 * a host without our table (a boot, a flush), or without anybody's drops, gets what the file alone
 * says, closed where that is not enough.
 */
static bool plan_pass(struct daemon *d, struct pass *p, struct error *err)
{
	bool planned = pass_plan(p, &d->world, d->current, err);

	if (planned || !d->world.engine_trouble.text[0])
		return planned;
	pass_release(p);
	d->world.without_engine = true;
	*err = (struct error){0};
	planned = pass_plan(p, &d->world, d->current, err);
	d->world.without_engine = false;
	if (planned && !d->world.engine_trouble.text[0])
		return true; /* it answers by now */
	if (planned && (is_bare(p) || is_open(p))) {
		log_warn("no engine: the file alone is enforced", "error",
			 d->world.engine_trouble.text);
		retry_later(d);
		return true;
	}
	if (planned)
		*err = d->world.engine_trouble;
	return false;
}

static void make_pass(struct daemon *d)
{
	AUTO_RELEASE struct arena a = {0};
	const char *reasons = reasons_text(&a, d->reasons);
	int64_t started = now_ms();
	struct error err = {0};
	struct pass pass;

	if (d->reasons &
	    (REASON_START | REASON_FILE | REASON_SIGNAL | REASON_PERIOD | REASON_ASKED))
		reload(d);
	if (!d->current && d->reasons & REASON_START)
		load_last_good(d);
	d->reasons = 0;
	if (!d->current)
		return;
	if (plan_pass(d, &pass, &err)) {
		pass_apply(&pass, &d->world);
		finish_pass(d, &pass, reasons, started);
	} else {
		log_error("pass failed, what stands stays", "reason", reasons, "error", err.text);
		report_failure(&d->report, &err, reasons);
		retry_later(d);
	}
	publish(d);
	if (d->asked)
		status_answer(d->status, !d->report.failed && !d->report.n_failed, d->report.word);
	d->asked = false;
	pass_release(&pass);
	d->last_pass_ms = now_ms();
}

/* --- reasons --- */

static void add_reason(struct daemon *d, enum reason reason)
{
	d->reasons |= reason;
}

static void take_signals(struct daemon *d)
{
	struct signalfd_siginfo info;

	while (read(d->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			add_reason(d, REASON_SIGNAL);
		else
			d->stopping = true;
	}
}

static void take_file(struct daemon *d)
{
	watch_take(&d->watch);
	add_reason(d, REASON_FILE);
}

/* Of all that an engine tells, what can change a namespace, an address or a network. */
static bool event_matters(const struct engine_event *event)
{
	static const struct {
		const char *type, *action;
	} wanted[] = {
		{"container", "start"},	   {"container", "unpause"}, {"container", "rename"},
		{"container", "create"},   {"container", "destroy"}, {"network", "connect"},
		{"network", "disconnect"}, {"network", "create"},    {"network", "destroy"},
		{"daemon", "reload"},
	};

	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		if (!strcmp(event->type, wanted[i].type) &&
		    !strcmp(event->action, wanted[i].action))
			return true;
	return false;
}

/* The stream comes up: what happened before it was not told, so look at everything. */
static void take_engine(struct daemon *d)
{
	AUTO_RELEASE struct arena a = {0};
	struct engine_event event;
	struct error err = {0};
	bool was_up = d->stream_up;
	enum docker_stream stream = docker_events_run(d->world.docker, &err);

	d->stream_up = stream == STREAM_UP;
	while (docker_events_next(d->world.docker, &event, &a)) {
		log_debug("engine event", "type", event.type, "action", event.action, "name",
			  event.name);
		if (event_matters(&event))
			add_reason(d, REASON_ENGINE);
	}
	if (stream == STREAM_UP && !was_up) {
		log_info("following the engine's events");
		d->stream_retry_ms = RETRY_MS;
		add_reason(d, REASON_ENGINE);
	}
	if (stream == STREAM_DOWN && d->stream_at == FOREVER) {
		log_warn("engine events broke off", "error", err.text);
		d->stream_at = now_ms() + d->stream_retry_ms;
		d->stream_retry_ms = d->stream_retry_ms * 2 > MAX_RETRY_MS / 12
					     ? MAX_RETRY_MS / 12
					     : d->stream_retry_ms * 2;
	}
}

static void take_kernel(struct daemon *d)
{
	if (world_heard_changes(&d->world))
		add_reason(d, REASON_KERNEL);
}

static void take_requests(struct daemon *d)
{
	if (!status_run(d->status))
		return;
	d->asked = true;
	add_reason(d, REASON_ASKED);
}

static void start_stream(struct daemon *d)
{
	struct error err = {0};

	d->stream_at = FOREVER;
	if (!docker_events_start(d->world.docker, &err)) {
		log_error("engine events", "error", err.text);
		d->stream_at = now_ms() + MAX_RETRY_MS;
	}
}

/* Timers that went off by now. */
static void take_time(struct daemon *d)
{
	int64_t now = now_ms();

	if (d->stream_at != FOREVER && now >= d->stream_at)
		start_stream(d);
	if (d->retry_at != FOREVER && now >= d->retry_at) {
		d->retry_at = FOREVER;
		add_reason(d, REASON_RETRY);
	}
	if (d->watchdog_at != FOREVER && now >= d->watchdog_at) {
		notify_send("WATCHDOG=1");
		d->watchdog_at = now + d->watchdog_ms;
	}
	if (now >= d->period_at) {
		d->period_at = now + (int64_t)d->options->period_s * 1000;
		add_reason(d, REASON_PERIOD);
	}
}

/* --- the loop --- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a == FOREVER ? b : b == FOREVER ? a : a < b ? a : b;
}

/* When the pass that is due may be made. */
static int64_t pass_at(const struct daemon *d)
{
	int64_t gap = d->heat <= WARM ? GAP_MS : GAP_MS * (d->heat - WARM + 1);

	return d->reasons ? d->last_pass_ms + (gap > MAX_GAP_MS ? MAX_GAP_MS : gap) : FOREVER;
}

static int wait_ms(const struct daemon *d)
{
	int64_t now = now_ms(), at = earlier(d->period_at, pass_at(d));
	int curl_ms = docker_events_timeout_ms(d->world.docker);

	at = earlier(earlier(at, d->retry_at), d->stream_at);
	at = earlier(at, d->watchdog_at);
	if (curl_ms >= 0)
		at = earlier(at, now + curl_ms);
	return at <= now ? 0 : (int)(at - now);
}

static void cool_down(struct daemon *d, int64_t now)
{
	int64_t forgotten = (now - d->cooled_ms) / COOLING_MS;

	d->cooled_ms += forgotten * COOLING_MS;
	d->heat = d->heat > forgotten ? d->heat - forgotten : 0;
}

static void pass_if_due(struct daemon *d)
{
	int64_t now = now_ms();

	cool_down(d, now);
	if (!d->reasons || now < pass_at(d))
		return;
	d->heat += d->reasons != REASON_VERIFY;
	make_pass(d);
}

static int signals_fd(const struct daemon *d)
{
	return d->signals;
}

static int watch_fd(const struct daemon *d)
{
	return d->watch.fd;
}

static int engine_fd(const struct daemon *d)
{
	return docker_events_fd(d->world.docker);
}

static int kernel_fd(const struct daemon *d)
{
	return d->world.ears;
}

static int requests_fd(const struct daemon *d)
{
	return status_fd(d->status);
}

static const struct {
	int (*fd)(const struct daemon *d);
	void (*take)(struct daemon *d);
} sources[] = {{signals_fd, take_signals},
	       {watch_fd, take_file},
	       {engine_fd, take_engine},
	       {kernel_fd, take_kernel},
	       {requests_fd, take_requests}};

static void loop(struct daemon *d)
{
	struct epoll_event events[8];

	while (!d->stopping) {
		int n = epoll_wait(d->epoll, events, COUNT_OF(events), wait_ms(d));

		for (int i = 0; i < n; i++)
			sources[events[i].data.u32].take(d);
		if (docker_events_timeout_ms(d->world.docker) == 0)
			take_engine(d);
		take_time(d);
		pass_if_due(d);
	}
}

static bool open_epoll(struct daemon *d, struct error *err)
{
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll < 0)
		return error_set(err, errno, "epoll");
	for (uint32_t i = 0; i < COUNT_OF(sources); i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};

		if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, sources[i].fd(d), &event) < 0)
			return error_set(err, errno, "epoll");
	}
	return true;
}

static bool open_signals(struct daemon *d, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_set(err, errno, "sigprocmask");
	d->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return d->signals >= 0 || error_set(err, errno, "signalfd");
}

static bool daemon_open(struct daemon *d, const struct options *options, struct error *err)
{
	*d = (struct daemon){.options = options,
			     .watch = WATCH_INIT,
			     .epoll = -1,
			     .signals = -1,
			     .lock = -1,
			     .cooled_ms = now_ms(),
			     .retry_ms = RETRY_MS,
			     .stream_retry_ms = RETRY_MS,
			     .retry_at = FOREVER,
			     .reasons = REASON_START};
	d->watchdog_ms = notify_watchdog_ms();
	d->watchdog_at = d->watchdog_ms ? now_ms() + d->watchdog_ms : FOREVER;
	if (!world_open(&d->world, options, err) || (d->lock = lock_take(err)) < 0 ||
	    !open_signals(d, err) || !watch_open(&d->watch, options->config, err))
		return false;
	d->status = status_open(options->listen, err);
	if (!d->status)
		return false;
	d->last_pass_ms = now_ms() - MAX_GAP_MS;
	d->period_at = now_ms() + (int64_t)options->period_s * 1000;
	d->stream_at = now_ms();
	return open_epoll(d, err);
}

static void daemon_close(struct daemon *d)
{
	if (d->current)
		generation_release(d->current);
	free(d->current);
	status_close(d->status);
	report_release(&d->report);
	close_at_exit_of_scope(&d->lock);
	watch_close(&d->watch);
	world_close(&d->world);
	close_at_exit_of_scope(&d->signals);
	close_at_exit_of_scope(&d->epoll);
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
		loop(&d);
		notify_send("STOPPING=1");
		log_info("stopped, the rules stay");
	} else {
		log_error("start", "error", err.text);
		opened = false;
	}
	daemon_close(&d);
	return opened ? EXIT_FINE : EXIT_FAILED;
}
