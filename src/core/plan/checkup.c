/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/checkup.h"

#include <string.h>

const struct host_prefix *checkup_find_overlap(const struct observed *seen,
					       const struct engine_network *network)
{
	if (!network->bridge || !network->subnet.ip.family)
		return NULL;
	list_each (taken, &seen->host_prefixes)
		if (taken->prefix.len >= network->subnet.len &&
		    prefix_overlaps(taken->prefix, network->subnet) &&
		    strcmp(taken->device, network->bridge) != 0)
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
