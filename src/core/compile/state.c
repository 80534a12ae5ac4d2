/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compile/state.h"

#include <string.h>

uint32_t state_find_space(const struct state *state, const char *container)
{
	const struct space *spaces = state->spaces.items;
	uint32_t at = first_not_before(state->spaces.n, i,
				       !i || strcmp(spaces[i].container, container) < 0);

	return at < state->spaces.n && !strcmp(spaces[at].container, container) ? at : NONE;
}

/* The first of the routes that does not lead to less than dst. */
static uint32_t first_route(const struct space *space, struct prefix dst)
{
	return first_not_before(space->routes.n, i,
				prefix_compare(space->routes.items[i].dst, dst) < 0);
}

bool space_has_route(const struct space *space, struct prefix dst, const struct ip *via)
{
	for (uint32_t i = first_route(space, dst);
	     i < space->routes.n && !prefix_compare(space->routes.items[i].dst, dst); i++)
		if (!via || ip_equal(space->routes.items[i].via, *via))
			return true;
	return false;
}
