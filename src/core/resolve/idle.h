/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies that change nothing, because others do all of it. Removing all of those that are found
 * changes no flow.
 */
#pragma once

#include "core/resolve/resolve.h"

enum idle_kind {
	IDLE_SAME,    /* one other policy has the same flows */
	IDLE_COVERED, /* others have all of its flows */
	IDLE_TAKEN,   /* others translate all of its packets before it, to somewhere else */
	IDLE_NEVER,   /* there is no packet that it is about */
};

enum { IDLE_BY = 3, IDLE_SHOWN = 20 };

struct idle {
	enum idle_kind kind;
	uint32_t policy;
	uint32_t by[IDLE_BY], n_by; /* the others: the first of them, and how many */
};

struct idle_list {
	LIST(struct idle) list;
	bool *found; /* by policy; the caller allocates it */
};

/*
 * Adds policies whose ends are those of another one. They are compared with few others, so the cost
 * is linear. Policies that are in the list already are left out.
 */
void resolve_idle(struct idle_list *idle, struct arena *a, const struct config *config,
		  const struct resolution *resolution);
/*
 * Warns of dnats that send the same packets to different targets, where only the resolved names
 * show it: what the file's own words show is an error already.
 */
void warn_of_contradictions(struct diags *diags, const struct config *config,
			    struct config_text *text, const struct resolution *resolution);
/* Warns of the first IDLE_SHOWN, by their place in the file, and says how many more there are. */
void idle_warn(struct idle_list *idle, struct diags *diags, const struct config *config,
	       struct config_text *text);
