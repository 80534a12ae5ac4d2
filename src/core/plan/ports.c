/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares the ports of strict networks' bridges. */
#include "core/plan/impl.h"

#include <string.h>

static const struct strict *strict_of(const struct differ *d, const char *bridge)
{
	list_each (strict, &d->want->strict)
		if (!strcmp(strict->bridge, bridge))
			return strict;
	return NULL;
}

static const int32_t *nsids_of(struct differ *d, const struct strict *strict)
{
	int32_t *nsids = arena_array(d->a, int32_t, strict->residents.n);

	for (uint32_t i = 0; i < strict->residents.n; i++) {
		uint32_t at =
			state_find_space(&d->seen->have, strict->residents.items[i].container);
		const struct space *space = at == NONE ? NULL : &d->seen->have.spaces.items[at];

		nsids[i] = space && space->has_nsid ? space->nsid : NO_NSID;
	}
	return nsids;
}

/* A kernel that does not know the flag can't keep a container from using a neighbour's address. */
static void say_lacks(struct differ *d, const struct strict *strict,
		      const struct bridge_ports *have)
{
	if (have->ports.n && !have->can_lock)
		conflict(d, differ_path(d, "networks", strict->key),
			 CANNOT "this kernel can't lock the ports of a bridge (Linux 5.16 can): a "
				"container could take a neighbour's MAC address; use isolation "
				"docker, or a newer kernel");
}

static const char *text_of(struct differ *d, const char *name, const char *bridge,
			   const port_changes *changes)
{
	AUTO_BUF struct buf text = {0};

	buf_printf(&text, "%s: ", name);
	port_change_print(&text, &changes->items[0], bridge);
	if (changes->n > 1)
		buf_printf(&text, " (and %u more)", changes->n - 1);
	return arena_strdup(d->a, buf_text(&text));
}

/* Without an engine nobody knows who runs: what is bound stays bound. */
static void keep_all(struct bridge_ports *want, const struct bridge_ports *have)
{
	want->entries.items = have->entries.items;
	want->entries.n = have->entries.n;
	if (have->proxies.n) {
		want->proxies.items = have->proxies.items;
		want->proxies.n = have->proxies.n;
	}
}

/* The host's rules; NONE: they stand. */
static uint32_t rules_step(const struct differ *d)
{
	for (uint32_t i = d->plan->steps.n; i-- > 0;)
		if (d->plan->steps.items[i].have_space == 0 &&
		    step_is_rules(&d->plan->steps.items[i]))
			return i;
	return NONE;
}

static void diff_bridge(struct differ *d, const struct bridge_ports *have)
{
	const struct strict *strict = strict_of(d, have->bridge);
	port_changes changes = {0};
	struct bridge_ports want;
	struct step *step;

	if (strict) {
		ports_want(&want, d->a, strict, have, nsids_of(d, strict));
		say_lacks(d, strict, have);
	} else {
		ports_want_open(&want, d->a, have);
	}
	if (strict && !d->seen->engine->up)
		keep_all(&want, have);
	if (strict)
		*list_add(d->a, &d->plan->ports) = want;
	ports_diff(&changes, d->a, &want, have);
	if (!changes.n)
		return;
	step = differ_step(d, STEP_PORTS, !strict ? '-' : have->proxies.n ? '~' : '+', "ports");
	step->have_space = 0;
	/* a network becomes strict, or open, as a whole; a repair waits for nothing */
	step->depends_on = step->sign == '~' ? NONE : rules_step(d);
	step->ports = have;
	step->port_changes = changes;
	step->text = text_of(d, strict ? strict->key : have->bridge, have->bridge, &changes);
	step->why = strict ? differ_path(d, "networks", strict->key) : "not strict any more";
}

void diff_ports(struct differ *d)
{
	list_each (have, &d->seen->have.ports)
		if (have->index)
			diff_bridge(d, have);
		else if (strict_of(d, have->bridge)) /* it will be made */
			*list_add(d->a, &d->plan->ports) = *have;
}
