/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the wanted state comes from: the file, read again when it may have changed. A new one is
 * weighed in its first pass, which knows what stands (core/plan/brake.h); one that takes too much
 * is held, and the one before goes on being enforced.
 */
#pragma once

#include "app/pass/pass.h"
#include "edge/host/file.h"

#include <time.h>

/* As it was read last. */
struct seen_file {
	const char *path;
	struct file_mark mark;
	uint64_t hash; /* of its text */
};

struct source {
	const struct options *options;
	struct generation *current; /* what passes want; NULL until there is one */
	struct generation *before;  /* in force until current is weighed; NULL: none */
	bool weighed;		    /* current is in force */
	bool told;		    /* the log said that it is taken */
	bool proposed;		    /* it is written beside the last good one */
	uint64_t accepted;	    /* digest of a file that somebody accepted, whatever it takes */
	uint64_t digest;	    /* of the file as last seen with its lists, good or bad */
	struct arena seen_arena;
	LIST(struct seen_file) seen; /* it, and each of its lists */
	bool known;		     /* it could be read then */
	uint64_t held;		     /* digest of the file that waits to be accepted; 0: none */
	struct buf takes;	     /* what it would take away */
	char trouble[640];	     /* why the file as it is can't be enforced; "": it can */
	time_t loaded_at;	     /* when current was taken */
};

/* Looks whether the file has other bytes than last time. True if there is a new generation. */
bool source_reload(struct source *s);
/* At a start without a file that can be enforced. */
void source_load_last_good(struct source *s);
/*
 * With what a pass saw of the engine. False: current takes too much; it is held now, and current is
 * the one before, or NULL. planned: the pass could be planned, so that what was seen is all that
 * stands and current is in force from now on.
 */
bool source_weigh(struct source *s, const struct view *view, bool planned);
/*
 * current is more than the backend can hold: the one before is in force again, and healed. False:
 * there is none, or current is in force already.
 */
bool source_refuse(struct source *s, const char *why);
/* The file with this digest is taken, whatever it takes away; source_reload does it. */
void source_accept(struct source *s, uint64_t digest);
void source_release(struct source *s);
