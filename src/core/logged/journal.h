/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which connections are said, and when: the first of a flow (source, destination, protocol, port)
 * at once, and what follows as one count every JOURNAL_EVERY_MS. The number of flows is bounded: of
 * more there is only a count. Pure: the time is an argument.
 */
#pragma once

#include "core/logged/logged.h"

#include <time.h>

enum {
	JOURNAL_FLOWS = 256,
	JOURNAL_OF_SOURCE = 64, /* of these, so that who scans ports hides nobody else */
	JOURNAL_DROPS = 20,
	JOURNAL_EVERY_MS = 10000,
};

struct journal_entry {
	struct logged flow;
	uint64_t count;	    /* since the last line */
	time_t first, last; /* of these */
	int64_t due_ms;	    /* when they are said, or the flow is forgotten */
};

struct journal {
	struct journal_entry entries[JOURNAL_FLOWS];
	uint32_t n;
	uint64_t unlisted; /* connections of flows that have no room, since the last line */
	int64_t unlisted_due_ms;
	/* What was dropped last: the newest first, each flow once. */
	struct journal_entry drops[JOURNAL_DROPS];
	uint32_t n_drops;
};

/* True: it is the first of its flow, to be said at once. */
bool journal_note(struct journal *j, const struct logged *logged, int64_t now_ms, time_t now);
/* A flow with news that is due: call it until it says false. */
bool journal_due(struct journal_entry *due, struct journal *j, int64_t now_ms);
/* How many connections had no room, once in a while; else 0. */
uint64_t journal_unlisted(struct journal *j, int64_t now_ms);
/* When something is due; -1: never. */
int64_t journal_next_ms(const struct journal *j);
