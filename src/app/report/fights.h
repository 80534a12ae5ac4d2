/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects that another program keeps undoing. What is undone now and then is repaired at once. What
 * is undone again and again, for seconds, waits longer each time, up to a minute, and the log names
 * the other program. We never give up, we only get slower. If something else is wanted meanwhile,
 * nothing was undone: while Docker rewrites its rules, ours follow step by step.
 */
#pragma once

#include "app/pass/pass.h"

enum { MAX_FIGHTS = 64 };

struct fight {
	uint64_t key;
	char object[160];		/* "firewall host: table inet harborwall" */
	struct author by;		/* who made the last change */
	uint32_t undone;		/* times in a row */
	int64_t first_ms;		/* when it was undone first */
	uint32_t strikes;		/* how often that made it wait longer */
	int64_t done_ms, hold_until_ms; /* when we repaired it last; not again before */
	bool closes;			/* nothing else closes the networks: never wait long */
	bool owed;			/* it is missing, and left so for now */
	bool told;
	uint32_t n_foreign; /* foreign rules around ours when it was repaired last */
	bool of_facts;	    /* whether it is wanted depends on the facts of the host */
};

struct fights {
	struct fight items[MAX_FIGHTS];
	uint32_t n;
	uint64_t facts; /* hash of the last pass's facts */
};

/* Marks the steps of a plan that must wait. */
void fights_hold_back(struct fights *f, struct pass *p, int64_t now_ms);
/*
 * Notes the result of a pass. looks: nothing new was wanted, so what it repaired was undone by
 * others.
 */
void fights_note(struct fights *f, const struct pass *p, bool looks, int64_t now_ms);
/* A new file, or a new filter of Docker's: what we write now was not there before. */
void fights_forget(struct fights *f);
/* When to repair or log something even if nothing happens; -1: never. */
int64_t fights_next_ms(const struct fights *f, int64_t now_ms);

/* It is undone more often, and for longer, than by chance. */
bool fight_is_on(const struct fight *f);
bool fights_are_on(const struct fights *f);
/* Who undoes it: "nft (pid 12, started by sh)", or that it is unknown. */
const char *fight_opponent(struct arena *a, const struct fight *f);
