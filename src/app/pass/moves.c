/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/moves.h"

#include "base/log.h"

#include <string.h>

enum { REFUSED_MS = 10 * 60 * 1000 };

/* --- before --- */

static void refuse(struct pass *p, uint32_t i, const char *why)
{
	p->outcomes[i].kind = OUTCOME_FAILED;
	p->outcomes[i].why = why;
}

/* In a chain of steps, begin only if all of them can be done. */
static void refuse_row(struct pass *p, uint32_t i, const char *why)
{
	while (p->plan.steps.items[i].depends_on != NONE)
		i = p->plan.steps.items[i].depends_on;
	refuse(p, i, why);
}

static bool write_down_connection(struct pass *p, struct world *w, const struct step *s,
				  struct error *err)
{
	struct engine_container c = {
		.id = s->container_id, .name = s->container, .with_settings = true};
	struct kept_endpoint kept = {
		.container_id = s->container_id, .container = s->container, .network = s->network};
	const struct engine_endpoint *endpoint;

	if (!docker_inspect(w->docker, &c, &p->arena, err))
		return false;
	endpoint = engine_find_endpoint(&c, s->network);
	if (!endpoint || !engine_take_settings(&kept, endpoint->settings))
		return error_set(err, -1, "container %s is not connected to %s any more",
				 s->container, s->network);
	saved_keep_connection(&w->saved, &kept);
	return true;
}

static bool write_down_network(struct pass *p, struct world *w, const struct step *s,
			       struct error *err)
{
	struct kept_network was = {.name = s->network};

	if (!docker_network_settings(w->docker, &was, s->replaces_id, &p->arena, err))
		return false;
	saved_keep_network(&w->saved, &was);
	return true;
}

static bool takes_connection(const struct step *s)
{
	return s->kind == STEP_DISCONNECT && s->comes_back;
}

static bool takes_network(const struct step *s)
{
	return s->kind == STEP_CREATE_NETWORK && s->replaces_id;
}

/* It exists again, or the file no longer wants it. */
static void forget_obsolete(struct pass *p, struct world *w)
{
	list_each (k, &p->plan.obsolete)
		saved_drop_connection(&w->saved, (*k)->container_id, (*k)->network);
	list_each (k, &p->view.seen.kept_networks)
		if (engine_find_network(&p->view.engine, k->name))
			saved_drop_network(&w->saved, k->name);
}

/* What will not be re-created in this pass must not be removed in it. */
static void hold_back_both(struct pass *p)
{
	for (uint32_t i = 0; p->held && i < p->plan.steps.n; i++) {
		uint32_t before = p->plan.steps.items[i].depends_on;

		if (p->held[i] && before != NONE && takes_connection(&p->plan.steps.items[before]))
			p->held[before] = true;
	}
}

void moves_write_down(struct pass *p, struct world *w)
{
	struct error err = {0};

	if (p->view.engine.up)
		forget_obsolete(p, w);
	hold_back_both(p);
	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct step *s = &p->plan.steps.items[i];
		struct error trouble = {0};

		if ((takes_connection(s) && !write_down_connection(p, w, s, &trouble)) ||
		    (takes_network(s) && !write_down_network(p, w, s, &trouble)))
			refuse_row(p, i, arena_strdup(&p->arena, trouble.text));
	}
	if (saved_write(&w->saved, &err))
		return;
	for (uint32_t i = 0; i < p->plan.steps.n; i++)
		if (takes_connection(&p->plan.steps.items[i]) ||
		    takes_network(&p->plan.steps.items[i]))
			refuse_row(p, i, arena_strdup(&p->arena, err.text));
}

/* --- the steps --- */

static void remember_refusal(struct world *w, const struct step *s, const char *why)
{
	struct arena *a = &w->of_refusals;

	*list_add(a, &w->refusals) =
		(struct refusal){.container_id = arena_strdup(a, s->container_id),
				 .network = arena_strdup(a, s->network),
				 .why = arena_strdup(a, why),
				 .ip = s->ip,
				 .ip6 = s->ip6,
				 .until_ms = clock_ms() + REFUSED_MS};
}

/* After a failure everything is as it was before. */
static void put_back(struct world *w, const struct step *s, const struct kept_endpoint *was,
		     struct error *err)
{
	const struct connecting as_it_was = {
		.ip = was->ip, .ip6 = was->ip6, .settings = was->settings};
	struct error first = *err, second = {0};

	if (ip_equal(s->ip, was->ip) && ip_equal(s->ip6, was->ip6))
		return; /* this is what just failed */
	*err = (struct error){0};
	if (!docker_connect(w->docker, s->network, s->container_id, &as_it_was, &second)) {
		error_set(err, -1, "%s; nor as it was: %s", first.text, second.text);
		return;
	}
	saved_drop_connection(&w->saved, s->container_id, s->network);
	error_set(err, -1, "%s; it is connected again as it was", first.text);
	remember_refusal(w, s, err->text);
}

bool moves_connect(struct world *w, const struct step *s, struct error *err)
{
	const struct kept_endpoint *was =
		saved_find_connection(&w->saved, s->container_id, s->network);
	/* a network that was there before is adopted, with or without our mark */
	const struct connecting how = {.ip = s->ip,
				       .ip6 = s->ip6,
				       .managed = s->managed && !was,
				       .settings = was ? was->settings : NULL};

	if (docker_connect(w->docker, s->network, s->container_id, &how, err)) {
		saved_drop_connection(&w->saved, s->container_id, s->network);
		return true;
	}
	error_wrap(err, "network %s: connect %s", s->network, s->container);
	if (was)
		put_back(w, s, was, err);
	return false;
}

bool moves_create(struct world *w, const struct step *s, struct error *err)
{
	const struct kept_network *was = saved_find_network(&w->saved, s->network);
	struct error first, second = {0};

	if (docker_create_network(w->docker, s->create, was, err)) {
		saved_drop_network(&w->saved, s->network);
		return true;
	}
	error_wrap(err, "create network %s", s->network);
	if (!was || !s->create)
		return false;
	first = *err;
	*err = (struct error){0};
	if (!docker_create_network(w->docker, NULL, was, &second))
		return error_set(err, -1, "%s; nor as it was: %s", first.text, second.text);
	saved_drop_network(&w->saved, s->network);
	return error_set(err, -1, "%s; it is there again as it was", first.text);
}

/* --- after --- */

void moves_settle(struct pass *p, struct world *w)
{
	struct error err = {0};

	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct step *s = &p->plan.steps.items[i];

		/* after an error the outcome is unknown: the next pass reads it */
		if (takes_connection(s) && p->outcomes[i].kind == OUTCOME_SKIPPED)
			saved_drop_connection(&w->saved, s->container_id, s->network);
		if (takes_network(s) && p->outcomes[s->depends_on].kind == OUTCOME_SKIPPED)
			saved_drop_network(&w->saved, s->network);
	}
	if (!saved_write(&w->saved, &err))
		log_warn("the state file still lists what is already done", "error", err.text);
}
