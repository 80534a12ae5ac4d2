/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares the wanted and the actual state, one kind of object after the other. */
#include "core/plan/impl.h"
#include "core/plan/interfaces.h"

#include <string.h>

struct step *differ_step(struct differ *d, enum step_kind kind, char sign, const char *object)
{
	struct step *step = list_add(d->a, &d->plan->steps);

	step->kind = kind;
	step->sign = sign;
	step->object = object;
	step->why = "";
	step->space = step->have_space = step->depends_on = NONE;
	return step;
}

uint32_t differ_step_index(const struct differ *d, const struct step *step)
{
	return (uint32_t)(step - d->plan->steps.items);
}

const char *differ_path(struct differ *d, const char *kind, const char *key)
{
	return path_of_declared(d->a, kind, key);
}

static void index_containers(struct differ *d)
{
	d->containers = arena_array(d->a, struct differ_container, d->seen->engine->containers.n);
	d->holders = arena_array(d->a, const struct engine_container *, d->want->attachments.n);
	for (uint32_t i = 0; i < d->want->attachments.n; i++) {
		const struct engine_container *c = engine_find_container(
			d->seen->engine, d->want->attachments.items[i].container);

		d->holders[i] = c;
		if (c)
			*list_add(d->a, &differ_container(d, c)->attachments) = i;
	}
}

void plan_free(struct plan *plan)
{
	list_each (step, &plan->steps) {
		if (!step->send)
			continue;
		buf_free(&step->send->before.bytes);
		buf_free(&step->send->batch.bytes);
		buf_free(&step->send->behind.bytes);
	}
	*plan = (struct plan){0};
}

void plan_diff(struct plan *plan, struct arena *a, const struct state *want,
	       const struct observed *observed, const struct config *config)
{
	struct differ d = {.plan = plan, .a = a, .want = want, .seen = observed, .config = config};

	d.network_step = arena_array(a, uint32_t, want->networks.n);
	d.stands = arena_array(a, uint8_t, want->networks.n);
	d.attachment_step = arena_array(a, uint32_t, want->attachments.n);
	d.connects = arena_array(a, bool, want->attachments.n);
	memset(d.attachment_step, 0xff, want->attachments.n * sizeof(uint32_t));
	index_containers(&d);
	if (plan->replace)
		plan->replace_refused =
			arena_printf(a, "there is no network \"%s\" in the file", plan->replace);
	if (observed->engine->up) {
		diff_networks(&d);
		diff_attachments(&d);
		diff_returns(&d);
	}
	diff_spaces(&d);
	diff_ports(&d);
	interfaces_note(&plan->findings, a, want, observed);
	if (observed->engine->up && !plan->keep_networks)
		diff_left_networks(&d);
}
