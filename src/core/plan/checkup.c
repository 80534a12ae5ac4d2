/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/checkup.h"

#include "core/foreign/walls.h"

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

static bool has_words(const char *line, size_t len, const char *words)
{
	return memmem(line, len, words, strlen(words)) != NULL;
}

bool checkup_filters_sources(const char *save)
{
	for (size_t len; *save; save += len + (save[len] == '\n')) {
		len = strcspn(save, "\n");
		if (has_words(save, len, " -m rpfilter ") && has_words(save, len, " --invert ") &&
		    !has_words(save, len, " --loose ") && has_words(save, len, " -j DROP"))
			return true;
	}
	return false;
}

bool checkup_forward_drops(const char *save, struct prefix from, const char *in, const char *out)
{
	AUTO_RELEASE struct arena a = {0};
	const struct packet packet = {
		.family = 6, .src = from, .dports = {0, UINT16_MAX}, .in = in, .out = out};
	wall_list walls = {0};

	walls_of_save(&walls, VARIANT_NFT, 6, &a, save, "");
	list_each (wall, &walls)
		if (!wall->before_ours && wall_lets_pass(wall, &packet).passing == IS_STOPPED)
			return true;
	return false;
}
