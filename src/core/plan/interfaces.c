/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/interfaces.h"

#include "base/hash.h"
#include "base/hash_set.h"

#include <string.h>

static void add(name_list *names, struct hash_set *seen, struct arena *a, const char *name)
{
	if (name && !hash_set_has_or_add(seen, a, hash_text(name)))
		*list_add(a, names) = name;
}

void interfaces_named(name_list *names, struct arena *a, const struct flows *flows)
{
	struct hash_set seen = {0};

	list_each (grant, &flows->grants)
		add(names, &seen, a, grant->iface);
	list_each (t, &flows->translations)
		add(names, &seen, a, t->iface);
	list_each (m, &flows->masquerades)
		add(names, &seen, a, m->oface);
}

/* The policies that name it; one policy may be many translations. */
struct users {
	const char *name;
	uint32_t first, last, n;
};

static void use(struct users *u, const char *name, uint32_t origin)
{
	if (!name || strcmp(name, u->name) != 0 || origin == u->last)
		return;
	u->first = origin < u->first ? origin : u->first;
	u->last = origin;
	u->n++;
}

static struct users users_of(const struct flows *flows, const char *name)
{
	struct users u = {.name = name, .first = NONE, .last = NONE};

	list_each (grant, &flows->grants)
		use(&u, grant->iface, grant->origin);
	list_each (t, &flows->translations)
		use(&u, t->iface, t->origin);
	list_each (m, &flows->masquerades)
		use(&u, m->oface, m->origin);
	return u;
}

void interfaces_note(struct findings *findings, struct arena *a, const struct state *want,
		     const struct observed *seen)
{
	list_each (interface, &seen->interfaces) {
		uint32_t i =
			interface->container ? state_find_space(want, interface->container) : 0;
		struct users u;

		if (interface->there || i == NONE)
			continue;
		u = users_of(want->spaces.items[i].flows, interface->name);
		if (!u.n)
			continue;
		finding_of_policy(findings, a, FINDING_NOTE, u.first,
				  "there is no interface \"%s\" %s%s: inactive until it exists%s",
				  interface->name,
				  interface->container ? "in container " : "on the host",
				  interface->container ? interface->container : "",
				  u.n > 1 ? arena_printf(a, " (%u policies name it)", u.n) : "");
	}
}
