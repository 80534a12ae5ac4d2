/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trial of a file (apply --confirm): the file is in force for some time, while the last good
 * generation stays the one to go back to. It is kept in files beside the state file, so that it
 * outlives every process:
 *     trial        the file that is tried, and until when. It is written before anything changes.
 *     trial.taken  somebody confirmed it, and it becomes the last good generation.
 *     trial.over   nobody did. As long as the configuration is this file, it is not enforced.
 * Renaming the first to one of the others decides. Only one process can, so nobody confirms what
 * another one has rolled back. The time is CLOCK_BOOTTIME of one boot: setting the clock changes
 * nothing, and after a boot the trial is over.
 */
#pragma once

#include "app/console/options.h"
#include "edge/host/texts.h"

struct trial {
	struct arena arena;
	uint64_t digest;    /* of the file that is tried, with its lists */
	uint64_t base;	    /* of the configuration when the trial began */
	int64_t until_ms;   /* CLOCK_BOOTTIME */
	uint32_t seconds;   /* the whole time */
	const char *config; /* absolute path of the configuration */
	struct texts texts; /* of the file that is tried */
};
void trial_release(struct trial *t);
#define AUTO_TRIAL __attribute__((cleanup(trial_release)))

enum trial_state {
	TRIAL_NONE,
	TRIAL_RUNS,
	TRIAL_OVER, /* the time is over, or the host was booted since: trial_end */
};

/* Reads the trial. What was confirmed, but is not the last good generation yet, becomes it. */
enum trial_state trial_look(struct trial *t, const struct options *o);
/* The same, and changes nothing: true if a trial runs. */
bool trial_runs(struct trial *t, const struct options *o);
/* Seconds that are left, rounded up. */
uint32_t trial_left_s(int64_t until_ms);
/* Writes seconds, digest, base, config and texts down. EEXIST: another trial runs. */
MUST_CHECK bool trial_begin(const struct trial *t, const struct options *o, struct error *err);
/* The file that is tried becomes the last good generation. ENOENT: the trial is over. */
MUST_CHECK bool trial_take(const struct options *o, struct error *err);
/* The last good generation is in force again. False: somebody else has decided. */
bool trial_end(const struct options *o);

/* Digest of the file that nobody confirmed; 0: there is none. */
uint64_t trial_rejected(const struct options *o);
void trial_forget_rejected(const struct options *o);
/* After clear. */
void trial_forget(const struct options *o);
