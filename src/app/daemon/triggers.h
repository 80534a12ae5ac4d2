/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a pass is due. One epoll over everything that can be a reason: signals, the file, the
 * engine's event stream, the kernel's notifications, requests at the status socket, and time. A
 * source only notes its reason; no work is done here.
 */
#pragma once

#include "app/world/world.h"
#include "edge/firewall/firewalld.h"
#include "edge/host/status.h"
#include "edge/host/watch.h"

enum { FOREVER = -1 }; /* no time is set */

enum reason {
	REASON_START = 1 << 0,
	REASON_FILE = 1 << 1,
	REASON_ENGINE = 1 << 2,
	REASON_SIGNAL = 1 << 3,
	REASON_PERIOD = 1 << 4,
	REASON_RETRY = 1 << 5,
	REASON_VERIFY = 1 << 6, /* check again after a pass that changed something */
	REASON_KERNEL = 1 << 7, /* somebody changed rules or routes */
	REASON_ASKED = 1 << 8,	/* POST /pass */
	REASON_TRIAL = 1 << 9,	/* a trial's time is over */
	/* one of several targets ended; its clients wait for another one */
	REASON_TARGET = 1 << 10,
};

struct triggers {
	const struct options *options;
	struct world *world;
	struct status_server *status;
	struct firewalld_bus *firewalld;
	const struct generation *current; /* in force; the caller sets it; NULL: none is */
	struct watch watch;
	int epoll, signals;

	uint32_t reasons;	 /* enum reason; the caller clears it */
	bool stopping;		 /* TERM or INT */
	bool stream_up;		 /* events arrive */
	bool firewalld_reloaded; /* the caller handles and clears it */
	bool logged;		 /* rules have logged; the caller reads and clears it */

	int64_t period_at, retry_at, stream_at, watchdog_at; /* ms, or FOREVER */
	int64_t death_at; /* when the pass after a container's end is due; any pass clears it */
	int64_t drift_at; /* set by the caller: when to look at drift again */
	int64_t trial_at; /* set by the caller: when the trial ends */
	int64_t log_at;	  /* set by the caller: when a line of the log is due */
	int64_t retry_ms, watchdog_ms;
	bool stream_told; /* the log has said that the stream broke off */
};

#define TRIGGERS_INIT                                                                              \
	{                                                                                          \
		.watch = WATCH_INIT, .epoll = -1, .signals = -1                                    \
	}

/* Call it before anything else: until then a SIGHUP would end the process. */
MUST_CHECK bool triggers_hold_signals(struct error *err);
/* Blocks signals. world, status and firewalld belong to the caller, who closes them after this. */
MUST_CHECK bool triggers_open(struct triggers *t, const struct options *options,
			      struct world *world, struct status_server *status,
			      struct firewalld_bus *firewalld, struct error *err);
void triggers_close(struct triggers *t);

/* Watches the file and its lists. True: they are not the same files as before. */
bool triggers_watch(struct triggers *t, const char *const *paths, uint32_t n);

/* Listens there from now on; closing it ends that. */
MUST_CHECK bool triggers_hear_log(struct triggers *t, int fd, struct error *err);

/* Handles what can't wait while a pass waits for the engine. */
void triggers_attend(struct triggers *t);
/* Waits for a reason, or until the pass at pass_at is due (ms, FOREVER: none). */
void triggers_wait(struct triggers *t, int64_t pass_at);

/* After a failed pass: try again, later each time. After a good one: reset. */
void triggers_retry(struct triggers *t);
void triggers_no_retry(struct triggers *t);

/* "file,kernel" */
const char *reasons_text(struct arena *a, uint32_t reasons);
