/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/amending.h"

#include "app/pass/unchanged.h"
#include "app/report/timings.h"
#include "core/compile/amend.h"

/* Each is about one policy, or about none: those that stay have the same to be said of them. */
static void renumber(struct findings *findings, struct arena *a, const struct amendment *amendment)
{
	uint32_t n = 0;

	list_each (f, &findings->list) {
		uint32_t now =
			f->origin == NONE ? NONE : amendment_number_now(amendment, f->origin);

		if (f->origin != NONE && now == NONE)
			continue;
		if (f->origin != now)
			f->subject = arena_printf(a, "policies[%u]", now);
		f->origin = now;
		findings->list.items[n++] = *f;
	}
	findings->list.n = n;
}

/* Containers have the routes that the new policies need. */
static bool routes_stand(const struct amendment *amendment, const struct pass *p,
			 const struct world *w)
{
	list_each (space, &amendment->adds.spaces)
		if (space->container &&
		    !known_has_routes(w, engine_find_container(&p->view.engine, space->container),
				      space))
			return false;
	return true;
}

static bool find_amendment(struct amendment *amendment, struct pass *p, const struct world *w,
			   const struct generation *g)
{
	const struct amending in = {
		.before = {&w->before->config, &w->before->resolution},
		.now = {&g->config, &g->resolution},
		.engine = &p->view.engine,
		.facts = &p->view.facts,
		.have = &p->view.seen.have.spaces.items[0].ruleset,
	};

	return amend(amendment, &p->arena, &in) && routes_stand(amendment, p, w);
}

/* The host's table, as far as it changes, stands in the place of the whole. */
static void plan_amendment(struct pass *p, const struct world *w, const struct amendment *amendment)
{
	struct space *want;

	unchanged_copy(p, w);
	renumber(&p->plan.findings, &p->arena, amendment);
	want = &p->want.spaces.items[0];
	want->ruleset = amendment->want;
	want->flows = amendment->adds.spaces.items[0].flows;
	p->view.seen.have.spaces.items[0].ruleset = amendment->have;
	plan_host_rules(&p->plan, &p->arena, &p->want, &p->view.seen);
}

bool amending_take(struct pass *p, struct world *w, const struct generation *g)
{
	struct moment start = timing_start();
	struct amendment amendment;
	bool found;

	if (!w->before || w->before->config.digest != w->converged.file || !unchanged_world(p, w))
		return false;
	found = find_amendment(&amendment, p, w, g);
	if (found)
		plan_amendment(p, w, &amendment);
	timing_stop("amend", start);
	return found;
}
