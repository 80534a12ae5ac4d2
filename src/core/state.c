/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/state.h"

#include <string.h>

uint32_t state_find_space(const struct state *state, const char *container)
{
	const struct space *spaces = state->spaces.items;
	uint32_t at = first_not_before(state->spaces.n, i,
				       !i || strcmp(spaces[i].container, container) < 0);

	return at < state->spaces.n && !strcmp(spaces[at].container, container) ? at : NONE;
}
