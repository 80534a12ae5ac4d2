/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/triggers.h"

#include "app/pass/pass.h"
#include "base/log.h"
#include "edge/host/notify.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
	RETRY_MS = 500, /* after a failure; doubles each time */
	MAX_RETRY_MS = 60000,
	STREAM_RETRY_MS = 500, /* a restarted engine must not wait long */
	DEATH_MS = 500,	       /* from a container's end to the pass that handles it */
};

static const char *const reason_names[] = {"start",  "file",  "engine", "signal",
					   "period", "retry", "verify", "kernel",
					   "asked",  "trial", "target"};

const char *reasons_text(struct arena *a, uint32_t reasons)
{
	const char *text = "";

	for (size_t i = 0; i < COUNT_OF(reason_names); i++)
		if (reasons & 1u << i)
			text = arena_printf(a, "%s%s%s", text, *text ? "," : "", reason_names[i]);
	return text;
}

void triggers_retry(struct triggers *t)
{
	t->retry_at = clock_ms() + t->retry_ms;
	t->retry_ms = t->retry_ms * 2 > MAX_RETRY_MS ? MAX_RETRY_MS : t->retry_ms * 2;
}

void triggers_no_retry(struct triggers *t)
{
	t->retry_at = FOREVER;
	t->retry_ms = RETRY_MS;
}

/* --- the sources --- */

static void take_signals(struct triggers *t)
{
	struct signalfd_siginfo info;

	while (read(t->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			t->reasons |= REASON_SIGNAL;
		else
			t->stopping = true;
	}
}

static void take_file(struct triggers *t)
{
	if (watch_take(&t->watch))
		t->reasons |= REASON_FILE;
}

/* Of the engine's events, those that can change a namespace, an address or a network. */
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

/* The event's container is one of several targets. */
static bool is_shared(const struct triggers *t, const struct engine_event *event)
{
	if (t->current && event->name)
		list_each (name, &t->current->resolution.shared)
			if (!strcmp(*name, event->name))
				return true;
	return false;
}

/*
 * A container that ends often restarts at once. Its start must not wait for the gap after a pass
 * that only noted its end.
 */
static bool is_death(const struct engine_event *event)
{
	return !strcmp(event->type, "container") && !strcmp(event->action, "die");
}

/* The clients of a translation's target do not wait. */
static void note_life(struct triggers *t, const struct engine_event *event)
{
	if (!is_shared(t, event))
		return;
	if (is_death(event)) {
		world_note_ended(t->world, event->name);
		t->reasons |= REASON_TARGET;
	} else if (!strcmp(event->type, "container") && !strcmp(event->action, "start")) {
		world_forget_ended(t->world, event->name);
	}
}

/* The event stream is connected. Events before that are lost, so look at everything. */
static void take_engine(struct triggers *t)
{
	AUTO_RELEASE struct arena a = {0};
	struct engine_event event;
	struct error err = {0};
	bool was_up = t->stream_up;
	enum docker_stream stream = docker_events_run(t->world->docker, &err);

	t->stream_up = stream == STREAM_UP;
	while (docker_events_next(t->world->docker, &event, &a)) {
		log_debug("engine event", "type", event.type, "action", event.action, "name",
			  event.name);
		note_life(t, &event);
		if (event_matters(&event))
			t->reasons |= REASON_ENGINE;
		else if (is_death(&event) && t->death_at == FOREVER)
			t->death_at = clock_ms() + DEATH_MS;
	}
	if (stream == STREAM_UP && !was_up) {
		log_info("following the engine's events");
		/* a restarted dockerd may be configured to write no drops */
		t->world->drops_stood = false;
		t->stream_told = false;
		world_forget_ended(t->world, NULL);
		t->reasons |= REASON_ENGINE;
	}
	if (stream == STREAM_DOWN && t->stream_at == FOREVER) {
		log_event(t->stream_told ? LOG_DEBUG_LEVEL : LOG_WARN_LEVEL,
			  "engine events broke off", "error", err.text, NULL);
		t->stream_told = true;
		t->stream_at = clock_ms() + STREAM_RETRY_MS;
		if (was_up) /* status is outdated */
			t->reasons |= REASON_ENGINE;
	}
}

static void take_kernel(struct triggers *t)
{
	if (world_heard_changes(t->world))
		t->reasons |= REASON_KERNEL;
}

static void take_requests(struct triggers *t)
{
	status_run(t->status);
	if (status_is_asked(t->status, STATUS_PASS))
		t->reasons |= REASON_ASKED;
}

static void take_firewalld(struct triggers *t)
{
	t->firewalld_reloaded |= firewalld_bus_run(t->firewalld);
}

static void take_log(struct triggers *t)
{
	t->logged = true;
}

static void start_stream(struct triggers *t)
{
	struct error err = {0};

	t->stream_at = FOREVER;
	if (!docker_events_start(t->world->docker, &err)) {
		log_error("engine events", "error", err.text);
		t->stream_at = clock_ms() + MAX_RETRY_MS;
	}
}

static void feed_watchdog(struct triggers *t, int64_t now)
{
	if (t->watchdog_at == FOREVER || now < t->watchdog_at)
		return;
	notify_send("WATCHDOG=1");
	t->watchdog_at = now + t->watchdog_ms;
}

void triggers_attend(struct triggers *t)
{
	if (world_heard_host(t->world))
		t->reasons |= REASON_KERNEL;
	take_signals(t);
	take_requests(t);
	feed_watchdog(t, clock_ms());
}

static void expire(struct triggers *t, int64_t *at, int64_t now, uint32_t reason)
{
	if (*at == FOREVER || now < *at)
		return;
	*at = FOREVER;
	t->reasons |= reason;
}

static void take_time(struct triggers *t)
{
	int64_t now = clock_ms();

	if (t->stream_at != FOREVER && now >= t->stream_at)
		start_stream(t);
	expire(t, &t->retry_at, now, REASON_RETRY);
	expire(t, &t->death_at, now, REASON_ENGINE);
	expire(t, &t->drift_at, now, REASON_KERNEL);
	expire(t, &t->trial_at, now, REASON_TRIAL);
	feed_watchdog(t, now);
	if (now >= t->period_at) {
		t->period_at = now + (int64_t)t->options->period_s * 1000;
		t->reasons |= REASON_PERIOD;
	}
}

/* --- the wait --- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a == FOREVER ? b : b == FOREVER ? a : a < b ? a : b;
}

static int wait_ms(const struct triggers *t, int64_t pass_at)
{
	int64_t now = clock_ms(), at = earlier(t->period_at, pass_at);
	int curl_ms = docker_events_timeout_ms(t->world->docker);
	int clients_ms = status_timeout_ms(t->status);

	at = earlier(earlier(at, t->retry_at), t->stream_at);
	at = earlier(earlier(at, t->watchdog_at), t->drift_at);
	at = earlier(earlier(at, t->death_at), t->trial_at);
	at = earlier(at, t->log_at);
	if (curl_ms >= 0)
		at = earlier(at, now + curl_ms);
	if (clients_ms >= 0)
		at = earlier(at, now + clients_ms);
	return at <= now ? 0 : (int)(at - now);
}

enum source { SIGNALS, FILES, ENGINE, KERNEL, REQUESTS, FIREWALLD, LOGGED, N_SOURCES };

static void (*const takers[N_SOURCES])(struct triggers *) = {
	[SIGNALS] = take_signals, [FILES] = take_file,	      [ENGINE] = take_engine,
	[KERNEL] = take_kernel,	  [REQUESTS] = take_requests, [FIREWALLD] = take_firewalld,
	[LOGGED] = take_log,
};

void triggers_wait(struct triggers *t, int64_t pass_at)
{
	struct epoll_event events[N_SOURCES];
	int n = epoll_wait(t->epoll, events, COUNT_OF(events), wait_ms(t, pass_at));

	for (int i = 0; i < n; i++)
		takers[events[i].data.u32](t);
	if (docker_events_timeout_ms(t->world->docker) == 0)
		take_engine(t);
	if (status_timeout_ms(t->status) == 0)
		take_requests(t);
	take_time(t);
}

/* A source without a descriptor is not heard. */
static bool hear(const struct triggers *t, enum source source, int fd, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};

	return fd < 0 || !epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &event) ||
	       error_set(err, errno, "epoll");
}

static bool open_epoll(struct triggers *t, struct error *err)
{
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll < 0)
		return error_set(err, errno, "epoll");
	return hear(t, SIGNALS, t->signals, err) && hear(t, FILES, t->watch.fd, err) &&
	       hear(t, ENGINE, docker_events_fd(t->world->docker), err) &&
	       hear(t, KERNEL, t->world->events, err) &&
	       hear(t, REQUESTS, status_fd(t->status), err) &&
	       hear(t, FIREWALLD, firewalld_bus_fd(t->firewalld), err);
}

bool triggers_hear_log(struct triggers *t, int fd, struct error *err)
{
	return hear(t, LOGGED, fd, err);
}

static sigset_t awaited_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return set;
}

bool triggers_hold_signals(struct error *err)
{
	sigset_t set = awaited_signals();

	return sigprocmask(SIG_BLOCK, &set, NULL) == 0 || error_set(err, errno, "sigprocmask");
}

static bool open_signals(struct triggers *t, struct error *err)
{
	sigset_t set = awaited_signals();

	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return t->signals >= 0 || error_set(err, errno, "signalfd");
}

bool triggers_open(struct triggers *t, const struct options *options, struct world *world,
		   struct status_server *status, struct firewalld_bus *firewalld, struct error *err)
{
	int64_t now = clock_ms();

	*t = (struct triggers){.options = options,
			       .world = world,
			       .status = status,
			       .firewalld = firewalld,
			       .watch = WATCH_INIT,
			       .epoll = -1,
			       .signals = -1,
			       .reasons = REASON_START,
			       .retry_at = FOREVER,
			       .drift_at = FOREVER,
			       .death_at = FOREVER,
			       .trial_at = FOREVER,
			       .log_at = FOREVER,
			       .retry_ms = RETRY_MS,
			       .stream_at = now,
			       .period_at = now + (int64_t)options->period_s * 1000};
	t->watchdog_ms = notify_watchdog_ms();
	t->watchdog_at = t->watchdog_ms ? now + t->watchdog_ms : FOREVER;
	return open_signals(t, err) && watch_open(&t->watch, options->config, err) &&
	       open_epoll(t, err);
}

bool triggers_watch(struct triggers *t, const char *const *paths, uint32_t n)
{
	return watch_paths(&t->watch, paths, n);
}

void triggers_close(struct triggers *t)
{
	watch_close(&t->watch);
	close_at_exit_of_scope(&t->signals);
	close_at_exit_of_scope(&t->epoll);
}
