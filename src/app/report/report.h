/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon knows of its passes, and tells of itself (page.h): kept from pass to pass.
 *
 * In this room:
 *     report.h                         what is kept
 *     page.h                           status
 *     metrics.h, policies.h, counts.h  for scrapers and programs
 *     drops.h                          what was dropped last
 *     audited.h                        what would be
 *     telling.h                        the log
 *     fights.h                         who undoes our changes
 */
#pragma once

#include "app/pass/pass.h"
#include "app/report/counts.h"
#include "app/report/fights.h"
#include "base/buf.h"
#include "core/logged/audit.h"
#include "core/logged/journal.h"

#include <time.h>

enum { N_DRIFT_OBJECTS = 8, N_DURATIONS = 12 };

extern const char *const drift_objects[N_DRIFT_OBJECTS]; /* as plans name them */
extern const int64_t duration_bounds_us[N_DURATIONS]; /* bucket bounds of the histogram of passes */

struct report {
	const struct fights *fights;   /* owned by the caller */
	const struct counts *counts;   /* owned by the caller */
	const struct journal *journal; /* owned by the caller */
	const struct audit *audit;     /* owned by the caller */
	struct facts compiled_with;    /* facts of the last pass, without texts and lists */
	struct arena arena;	       /* holds the last pass's findings */
	struct findings findings;
	const char *handoff;	      /* where Docker's filter takes our verdict */
	struct buf facts, facts_json; /* of the host */
	char engine[64], backend[32], word[256];
	bool engine_up, failed;
	const char *trouble;   /* why the file can't be enforced; "" if it can */
	uint64_t held;	       /* digest of the held file */
	const char *takes;     /* what the held file would remove */
	uint64_t tried;	       /* digest of the file that is on trial; 0: none is */
	uint32_t tried_left_s; /* of its time */
	bool rules_failed;     /* the host's rules as a whole were refused */
	uint32_t n_failed, n_conflicts;
	uint32_t n_stopped; /* policies that other people's rules stop, or may stop */
	time_t loaded_at, passed_at;
	char reason[64], error[640];
	int64_t took_us;
	uint64_t n_passes, n_passes_failed, n_revoked;
	uint64_t repaired[N_DRIFT_OBJECTS]; /* repairs of what others undid; changes of the file or
					       the engine do not count */
	uint64_t durations[N_DURATIONS + 1], duration_sum_us;
};

void report_pass(struct report *r, const struct pass *p, const char *reasons, int64_t took_us,
		 bool drift);
void report_failure(struct report *r, const struct error *err, const char *reasons,
		    int64_t took_us);
void report_release(struct report *r);
bool report_is_healthy(const struct report *r);
/* Policies that wait or are in conflict, each counted once. */
uint32_t report_policies(const struct report *r, enum finding_kind kind);
uint64_t report_repaired(const struct report *r);
