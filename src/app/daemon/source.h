/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the wanted state comes from: the file, read again when it may have changed, and the last
 * one that was accepted, kept beside the state file for a start without a good one.
 */
#pragma once

#include "app/pass/pass.h"
#include "edge/host/file.h"

#include <time.h>

struct source {
	const struct options *options;
	struct generation *current; /* the last good one, NULL until there is one */
	uint64_t digest;	    /* of the file as last seen, good or bad */
	struct file_mark mark;	    /* as it was then */
	bool known;		    /* it could be read then */
	bool refused;		    /* it had errors; current is older */
	time_t loaded_at;	    /* when current was */
};

/* Looks whether the file has other bytes than last time. True if there is a new generation. */
bool source_reload(struct source *s);
/* At a start without a file that can be enforced. */
void source_load_last_good(struct source *s);
void source_release(struct source *s);
