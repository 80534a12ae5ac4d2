/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/closing.h"

#include "app/console/say.h"
#include "app/pass/last_good.h"
#include "base/log.h"

#include <stdlib.h>

static bool take_closing_steps(struct pass *p, struct world *w, struct error *err)
{
	pass_close(p, w);
	for (uint32_t i = 0; i < p->plan.steps.n; i++)
		if (p->outcomes[i].kind == OUTCOME_FAILED)
			return error_set(err, -1, "%s", p->outcomes[i].why);
	return true;
}

static bool close_by(enum closing *closing, struct world *w, const struct generation *g,
		     struct error *err)
{
	struct pass p = {0};
	bool ok;

	w->closing = w->without_engine = true;
	ok = pass_plan(&p, w, g, err);
	w->closing = w->without_engine = false;
	if (ok) {
		ok = take_closing_steps(&p, w, err);
		*closing = ok && p.n_done && pass_finds_no_rules(&p) ? CLOSING_ALONE : CLOSING_NONE;
	}
	if (*closing)
		log_info("networks are closed until the engine answers", "generation",
			 digest_text(&p.arena, g->config.digest));
	pass_release(&p);
	return ok;
}

bool closing_begin(enum closing *closing, struct world *w, const struct options *o)
{
	struct generation *g = last_good_load(o);
	struct error err = {0};

	*closing = CLOSING_NONE;
	if (!g) {
		log_info("no last good config: nothing is closed before the first pass");
		return false;
	}
	if (!close_by(closing, w, g, &err))
		log_error("networks are not closed before the first pass", "error", err.text);
	generation_release(g);
	free(g);
	return !err.text[0];
}

/*
 * Without an engine the chains of an iptables backend are written to FORWARD. Docker puts its own
 * before them when it starts, so the table stays until these can be in their place.
 */
static bool must_stay(const struct pass *p)
{
	return !p->view.engine.up && p->view.facts.backend == BACKEND_IPTABLES;
}

void closing_replace(enum closing *closing, struct pass *p)
{
	if (*closing == CLOSING_NONE || p->unchanged)
		return;
	*closing = must_stay(p) ? CLOSING_BESIDE : CLOSING_NONE;
	if (*closing == CLOSING_NONE)
		return;
	p->held = p->held ? p->held : arena_array(&p->arena, bool, p->plan.steps.n);
	for (uint32_t i = 0; i < p->plan.steps.n; i++)
		if (p->plan.steps.items[i].kind == STEP_FIREWALL &&
		    p->plan.steps.items[i].have_space == 0)
			p->held[i] = true;
}
