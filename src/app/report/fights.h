/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects that somebody else keeps undoing. One that was undone now and then is put right at once;
 * one that is undone again and again, for seconds, is left alone for longer each time, up to a
 * minute, and named with who does it. Never given up: enforcing goes on, only slower. What became
 * another thing to want meanwhile was not undone: while Docker writes its rules anew, ours follow
 * it step by step.
 */
#pragma once

#include "app/pass/pass.h"

enum { MAX_FIGHTS = 64 };

struct fight {
	uint64_t key;
	char object[160];		/* "firewall host: table inet harborwall" */
	struct author by;		/* of the change that was found last */
	uint32_t undone;		/* times in a row */
	int64_t first_ms;		/* the first of them */
	uint32_t strikes;		/* of them those that made it wait longer */
	int64_t done_ms, hold_until_ms; /* when we put it right last; not again before */
	bool closes;			/* it alone keeps networks closed: never left for long */
	bool owed;			/* it does not stand, and is left so for now */
	bool told;
	uint32_t n_foreign; /* rules of others around ours when it was put right last */
	bool of_facts;	    /* whether it is wanted depends on the facts of the host */
};

struct fights {
	struct fight items[MAX_FIGHTS];
	uint32_t n;
	uint64_t facts; /* digest of those of the last pass */
};

/* Marks the steps of a plan that are not to be taken yet. */
void fights_hold_back(struct fights *f, struct pass *p, int64_t now_ms);
/* What a pass did; looks: nothing new was wanted, so others undid what it put right. */
void fights_note(struct fights *f, const struct pass *p, bool looks, int64_t now_ms);
/* A new file, or filter: what is put up now was not there before. */
void fights_forget(struct fights *f);
/* When there is something to do, or to say, without anything else happening; -1: never. */
int64_t fights_next_ms(const struct fights *f, int64_t now_ms);

/* It is going on: undone more often, and for longer, than chance would have it. */
bool fight_is_on(const struct fight *f);
bool fights_are_on(const struct fights *f);
/* "nft (pid 12, started by sh)", or that it is not known. */
const char *fight_opponent(struct arena *a, const struct fight *f);
