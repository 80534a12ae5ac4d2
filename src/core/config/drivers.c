/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config/drivers.h"

#include <string.h>

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

bool driver_is_bridge(const char *driver)
{
	return !strcmp(driver, "bridge");
}

/*
 * macvlan and ipvlan connect containers to the host's parent interface, beside the host itself. An
 * overlay forwards packets in a namespace of its own.
 */
bool driver_passes_by(const char *driver)
{
	static const char *const drivers[] = {"macvlan", "ipvlan", "overlay"};

	return is_one_of(driver, drivers, COUNT_OF(drivers));
}

const char *pair_value(const pair_list *pairs, const char *name)
{
	list_each (pair, pairs)
		if (!strcmp(pair->name, name))
			return pair->value;
	return NULL;
}

bool options_keep_apart(const pair_list *options)
{
	/* as Go's strconv.ParseBool does */
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	const char *value = pair_value(options, "com.docker.network.bridge.enable_icc");

	return value && is_one_of(value, no, COUNT_OF(no));
}
