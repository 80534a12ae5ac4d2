/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which file is in force. The file is read again when it may have changed. The first pass of a new
 * file compares it with what exists (core/plan/brake.h). A file that takes too much away is held,
 * and the file before it stays in force. During a trial (app/daemon/trial.h) the file that is tried
 * is in force, and the configuration is not read.
 */
#pragma once

#include "app/pass/pass.h"
#include "edge/host/file.h"

#include <time.h>

/* How a file was when it was read last. */
struct seen_file {
	const char *path;
	struct file_mark mark;
	uint64_t hash; /* of its text */
};

struct source {
	const struct options *options;
	struct generation *current; /* what passes want; NULL until there is one */
	/* in force until current passes the check of its losses; NULL: none */
	struct generation *before;
	/* in force before current, until what changed was told; NULL: none, or told */
	struct generation *replaced;
	bool weighed;	   /* current has passed that check: it is in force */
	bool told;	   /* the log has said that it is accepted */
	bool proposed;	   /* it is saved beside the last good file */
	uint64_t accepted; /* digest that somebody accepted, whatever it removes */
	uint64_t digest;   /* of the file with its lists, valid or not, as it was last read */
	struct arena seen_arena;
	LIST(struct seen_file) seen; /* the file, and each list it names */
	bool known;		     /* the file could be read */
	uint64_t held;		     /* digest of the held file; 0: none */
	struct buf takes;	     /* what the held file would remove */
	char trouble[640];	     /* why the file can't be enforced; "" if it can */
	time_t loaded_at;	     /* when current was accepted */
	/* of the trial that current is; 0: it is none */
	uint64_t tried;
	int64_t tried_until_ms; /* CLOCK_BOOTTIME */
};

/*
 * Begins and ends trials; reads the file if it may have changed. True: there is a new generation.
 */
bool source_reload(struct source *s);
/* At a start without a valid file, uses the last good one. */
void source_load_last_good(struct source *s);
/*
 * Decides about a new file once a pass has read the engine. False: it takes too much away and is
 * held; current is the file before it, or NULL. planned: the pass had a whole plan, so current is
 * in force from now on.
 */
bool source_weigh(struct source *s, const struct view *view, bool planned);
/*
 * The backend can't hold current: the file before it is in force again, and healed. False: there
 * is none before it, or current is in force already.
 */
bool source_refuse(struct source *s, const char *why);
/* The file with this digest is taken, whatever it takes away; source_reload does it. */
void source_accept(struct source *s, uint64_t digest);
/* What changed since `replaced` was told: forgets it. */
void source_compared(struct source *s);
void source_release(struct source *s);
