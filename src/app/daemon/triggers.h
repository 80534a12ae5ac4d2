/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a pass is due. One epoll over everything that can be a reason: signals, the file, the
 * engine's event stream, the kernel's notifications, requests at the status socket, and time. A
 * source only notes its reason; no work is done here.
 */
#pragma once

#include "app/pass/world.h"
#include "edge/firewall/firewalld.h"
#include "edge/host/status.h"
#include "edge/host/watch.h"

enum { FOREVER = -1 }; /* a time that is not set */

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

struct triggers {
	const struct options *options;
	struct world *world;
	struct status_server *status;
	struct firewalld_bus *firewalld;
	struct watch watch;
	int epoll, signals;

	uint32_t reasons;	 /* enum reason, collected; the caller takes them away */
	bool stopping;		 /* TERM or INT */
	bool stream_up;		 /* the engine's events come */
	bool firewalld_reloaded; /* the caller puts it right, and takes this away */

	int64_t period_at, retry_at, stream_at, watchdog_at; /* ms, or FOREVER */
	int64_t death_at; /* a container ended, which any pass takes notice of */
	int64_t drift_at; /* set by the caller: what others undid is looked at again */
	int64_t retry_ms, watchdog_ms;
	bool stream_told; /* that it broke off */
};

#define TRIGGERS_INIT                                                                              \
	{                                                                                          \
		.watch = WATCH_INIT, .epoll = -1, .signals = -1                                    \
	}

/* Before anything else: a SIGHUP during the start would end the process; so it waits. */
MUST_CHECK bool triggers_hold_signals(struct error *err);
/* Signals are held. world, status and firewalld are the caller's, who closes them after this. */
MUST_CHECK bool triggers_open(struct triggers *t, const struct options *options,
			      struct world *world, struct status_server *status,
			      struct firewalld_bus *firewalld, struct error *err);
void triggers_close(struct triggers *t);

/* The file, and the lists that it names. True: they are others than before. */
bool triggers_watch(struct triggers *t, const char *const *paths, uint32_t n);

/* In the middle of a pass that waits for the engine: what can't wait as long. */
void triggers_attend(struct triggers *t);
/* Until something happens, or the pass that is due at pass_at (ms, FOREVER: none). */
void triggers_wait(struct triggers *t, int64_t pass_at);

/* After a failure, each time later; and when all went well. */
void triggers_retry(struct triggers *t);
void triggers_no_retry(struct triggers *t);

/* "file,kernel" */
const char *reasons_text(struct arena *a, uint32_t reasons);
