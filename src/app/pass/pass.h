/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One pass: config, resolve, compile; observe; diff; plan; apply. Every verb is a prefix of it, the
 * daemon does it again and again. A pass that planned nothing is what "converged" means.
 *
 * In this room:
 *     pass.h                  the pass
 *     generation.h            one accepted file
 *     unchanged.h             when there is nothing to compare
 *     last_good.h             the file in force, kept beside the state file
 *     moves.h, connections.h  what is made again, and what must end
 */
#pragma once

#include "app/console/timings.h"
#include "app/observe/observe.h"
#include "app/pass/generation.h"

enum outcome_kind { OUTCOME_SKIPPED, OUTCOME_DONE, OUTCOME_FAILED };

/* The result of a step. */
struct outcome {
	enum outcome_kind kind;
	const char *why; /* of a failure */
};

struct pass {
	struct arena arena;
	struct view view;
	struct state want;
	struct plan plan;	  /* with the findings of compile and diff */
	struct outcome *outcomes; /* of the steps, once they are taken */
	bool *held;		  /* set by the caller: steps not to take yet; NULL: none */
	uint32_t n_done, n_failed;
	struct moment started; /* when the first step began */
	uint32_t n_revoked;    /* live connections that were ended, because no policy admits them */
	struct error trouble;  /* an error while ending them */
	uint64_t stamp, file;  /* hashes of its inputs (app/pass/unchanged.h) */
	bool unchanged;	       /* the inputs are those of a converged pass: nothing was compared */
};

/* Reads the host and makes the plan. Changes nothing. */
MUST_CHECK bool pass_plan(struct pass *p, struct world *w, const struct generation *g,
			  struct error *err);
/* Compiles the rules only, as for a host whose engine was not asked. */
void pass_compile(struct pass *p, const struct options *options, const struct generation *g);
/* Carries the plan out, step by step. If a step fails, its dependants fail; the rest goes on. */
void pass_apply(struct pass *p, struct world *w);
/* The same in parts, for a caller that acts between two steps: begin, each step in order, end. */
void pass_begin(struct pass *p, struct world *w);
void pass_take(struct pass *p, struct world *w, uint32_t step);
void pass_end(struct pass *p, struct world *w);
/* The host has no rules of ours. */
bool pass_finds_no_rules(const struct pass *p);
/*
 * Takes only the steps that close networks: rules where none of ours stand, and ports of strict
 * networks. Connections are left to the first whole pass.
 */
void pass_close(struct pass *p, struct world *w);
bool pass_has_conflicts(const struct pass *p);
void pass_release(struct pass *p);
