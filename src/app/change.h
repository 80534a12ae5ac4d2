/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes the host once, for apply and clear. On a terminal it shows the plan and asks for a yes.
 * Before a change it takes the host's lock, and waits if another process holds it. A pass that
 * finds nothing to do takes no lock, because taking one is a change.
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
	bool clears;	 /* for clear: there is no file, all of ours goes */
	bool asks;	 /* on a terminal and without --yes */
	bool live;	 /* on a terminal: print every step */
	uint64_t shown;	 /* hash of the plan that was shown last; 0: none */
	bool answered;	 /* the person has just answered, after some time */
	int lock;	 /* -1: not held. The next three: as they were when the plan was made */
	bool unlocked;	 /* the nf_tables generation could be read */
	uint32_t before; /* the nf_tables generation then */
	char holder[LOCK_TEXT]; /* who held the lock */
	bool whole;		/* the last pass found nothing left to do */
	bool any; /* at least one pass was carried out: the file is in force as far as possible */
	uint32_t done[N_SIGNS], failed, skipped, revoked;
	uint32_t left, steps; /* of an interrupted plan; 0: none was */
};

/* generation NULL: clear. change_close is always called. */
MUST_CHECK bool change_open(struct change *c, const struct options *options,
			    const struct generation *generation, struct error *err);
void change_close(struct change *c);

/*
 * Plans the next pass. Notes the nf_tables generation first, to tell later whether the plan is
 * still valid.
 */
MUST_CHECK bool change_plan(struct change *c, struct pass *p, struct error *err);
/* Prints the plan, what the file takes away, and what is restored. */
void change_print_plan(struct buf *out, struct change *c, struct pass *p);
/* True: nobody has to be asked, or the person saw this plan and said yes. */
MUST_CHECK bool change_agreed(struct change *c, struct pass *p, struct error *err);
/*
 * Makes passes until one finds nothing to do: what one pass creates (a network's bridge, a
 * container's address) may be what the next one needs. Stops if nothing succeeds.
 */
MUST_CHECK bool change_converge(struct change *c, struct error *err);

/* Restores what the host had before us, for clear. */
void change_print_owed(struct buf *out, const struct change *c);
void change_say_nothing_to_do(const struct change *c);
/* "3 added, 1 removed" */
void change_print_totals(const struct change *c);
/* Prints the error; returns EXIT_FAILED. A person who said no is no error. */
int change_fail(const struct error *err);
