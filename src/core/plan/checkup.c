/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/checkup.h"

#include <string.h>

const struct host_prefix *checkup_find_overlap(const struct observed *seen, struct prefix subnet,
					       const char *bridge, const char *old_bridge,
					       bool dead)
{
	list_each (taken, &seen->host_prefixes)
		if (prefix_covers(subnet, taken->prefix) && !taken->dead == !dead &&
		    strcmp(taken->device, bridge) != 0 && strcmp(taken->device, old_bridge) != 0)
			return taken;
	return NULL;
}

bool checkup_is_strict(long rp_filter_of_all, long own)
{
	return (rp_filter_of_all > own ? rp_filter_of_all : own) == 1;
}

bool checkup_is_network_go(const struct engine_container *container)
{
	return container->running && strstr(container->name, "network-go") != NULL;
}
