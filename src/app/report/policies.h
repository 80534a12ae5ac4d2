/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state and the counter of every policy, as lists for programs and scrapers. */
#pragma once

#include "app/report/report.h"

enum policy_state {
	POLICY_ENFORCED,
	POLICY_WAITING,
	POLICY_CONFLICT,
	POLICY_CANNOT, /* … be enforced here */
	N_POLICY_STATES,
};

extern const char *const policy_states[N_POLICY_STATES];

struct policy_fate {
	enum policy_state state;
	const char *why; /* the first finding; NULL: it is enforced */
};

/* The fate of each policy, in the arena, and how many are in each state. */
struct fates {
	const struct policy_fate *items;
	uint32_t n, in[N_POLICY_STATES];
};
struct fates policies_fates(struct arena *a, const struct report *r, const struct generation *g);

/* In a file with more policies only the first ones are listed. */
enum { MAX_LISTED = 10000 };

/* Prints ",\n \"policy_list\": […]" and how many are left out. */
void policies_print_json(struct buf *out, const struct report *r, const struct generation *g,
			 const struct fates *fates);
/* Enforced ones that let nothing through since their rules stand: their number; 0: nothing counts.
 */
uint32_t policies_never_hit(const struct report *r, const struct generation *g,
			    const struct fates *fates);
/* One line that names some of them, or nothing. */
void policies_print_never_hit(struct buf *out, const struct report *r, const struct generation *g,
			      const struct fates *fates);
bool policies_are_counted(const struct report *r, const struct generation *g);
/* Prints a family of samples; nothing if nothing is counted. */
void policies_print_metrics(struct buf *out, const struct report *r, const struct generation *g);
