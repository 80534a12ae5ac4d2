/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing the host once, as apply and clear do. On a terminal the plan is shown and a yes is asked
 * for. Who is about to change something takes the host's lock, and waits for whoever has it; a pass
 * that finds nothing to do takes none, for a lock leaves a trace.
 */
#pragma once

#include "app/console/options.h"
#include "app/pass/pass.h"
#include "edge/firewall/lock.h"

enum { N_SIGNS = 3 }; /* of steps: added, changed, removed */

struct change {
	const struct options *options;
	const struct generation *generation;
	struct world world;
	size_t size;		/* of the file */
	bool clears;		/* there is no file: all of ours goes */
	bool asks;		/* somebody sits at a terminal, and did not say yes before */
	bool live;		/* … and sees every step as it is taken */
	uint64_t shown;		/* hash of the plan that he saw last; 0: none */
	bool answered;		/* … just now, after some time */
	int lock;		/* -1: not held; then, when the plan was begun: */
	bool unlocked;		/* nf_tables told */
	uint32_t before;	/* its count of transactions, */
	char holder[LOCK_TEXT]; /* and who had the lock */
	bool any; /* a pass was carried out: the file is in force as far as it can be */
	uint32_t done[N_SIGNS], failed, skipped, revoked;
	uint32_t left, steps; /* of the plan that was interrupted; 0: none was */
};

/* size: the file's, 0 where there is none. Closed in any case. */
MUST_CHECK bool change_open(struct change *c, const struct options *options,
			    const struct generation *generation, size_t size, struct error *err);
void change_close(struct change *c);

/* The next pass. What is seen of nf_tables before it tells later whether it is still true. */
MUST_CHECK bool change_plan(struct change *c, struct pass *p, struct error *err);
/* The plan, what the file takes away, and what is given back, for people. */
void change_print_plan(struct buf *out, struct change *c, struct pass *p);
/* Whoever is asked saw this plan and said yes. */
MUST_CHECK bool change_agreed(struct change *c, struct pass *p, struct error *err);
/*
 * Passes until one finds nothing to do, for what a pass does may be what the next one needs (a
 * network's bridge, a container's address). Ends early where nothing succeeds.
 */
MUST_CHECK bool change_converge(struct change *c, struct error *err);

/* What the host had before us, which clear gives back. */
void change_print_owed(struct buf *out, const struct change *c);
void change_say_nothing_to_do(const struct change *c);
/* "3 added, 1 removed" */
void change_print_totals(const struct change *c);
/* EXIT_FAILED. That somebody said no is no error. */
int change_fail(const struct error *err);
