/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/state/state.h"

#include <string.h>

uint32_t state_find_space(const struct state *state, const char *container)
{
	const struct space *spaces = state->spaces.items;
	uint32_t at = first_not_before(state->spaces.n, i,
				       !i || strcmp(spaces[i].container, container) < 0);

	return at < state->spaces.n && !strcmp(spaces[at].container, container) ? at : NONE;
}

int route_compare(const struct route *a, const struct route *b)
{
	int order = prefix_compare(a->dst, b->dst);

	return order ? order : (a->table > b->table) - (a->table < b->table);
}

bool space_has_route(const struct space *space, const struct route *route, bool any_gateway)
{
	const struct route *routes = space->routes.items;
	uint32_t i = first_not_before(space->routes.n, k, route_compare(&routes[k], route) < 0);

	for (; i < space->routes.n && !route_compare(&routes[i], route); i++)
		if (any_gateway || ip_equal(routes[i].via, route->via))
			return true;
	return false;
}
