/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * New connections of policies with "log": true, and what egress deny stops, as lines of the log;
 * what it would stop is counted.
 * The kernel bounds how many it reports (LOG_A_SECOND), the journal how many lines they make
 * (core/logged/journal.h).
 */
#pragma once

#include "app/daemon/triggers.h"
#include "app/pass/pass.h"
#include "core/logged/audit.h"
#include "core/logged/journal.h"

struct logbook {
	int fd;		     /* -1: nothing is logged */
	bool audits;	     /* what is audited is heard there, too */
	struct audit *audit; /* the caller's, where it is counted */
	struct journal journal;
	int64_t busy_ms;	      /* when the second began in which reports are counted */
	uint32_t n_reports[N_LOGGED]; /* in it */
	bool lost, crowded;  /* since the last line: reports got lost; there were too many */
	int64_t loss_due_ms; /* when that is said */
	bool told;	     /* the log has said that nobody can listen */
};

#define LOGBOOK_INIT                                                                               \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Listens while the file logs something. */
void logbook_follow(struct logbook *l, const struct generation *g, struct triggers *t);
/* Reads and tells what there is, and says when it wants to be called again. */
void logbook_run(struct logbook *l, const struct generation *g, struct triggers *t);
void logbook_close(struct logbook *l);
