/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/state.h"

#include <string.h>

uint32_t state_find_space(const struct state *state, const char *container)
{
	uint32_t low = 1, high = state->spaces.n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(state->spaces.items[middle].container, container);

		if (!order)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NONE;
}
