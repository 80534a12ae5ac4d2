/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/observe/place.h"

#include "edge/netlink/route.h"

#include <string.h>

static bool has_address(const struct observed *seen, const char *device)
{
	list_each (p, &seen->host_prefixes)
		if (!strcmp(p->device, device))
			return true;
	return false;
}

/* One address is enough. Usually the list has one, and no request is needed. */
static bool find_bridge(interfaces *here, const struct view *view, struct arena *a,
			const struct world *w, struct error *err)
{
	list_each (network, &view->engine.networks)
		if (network->bridge && has_address(&view->seen, network->bridge)) {
			*list_add(a, here) = network->bridge;
			return true;
		}
	list_each (network, &view->engine.networks) {
		bool has = false;

		if (!network->bridge)
			continue;
		if (!route_has_link(&has, &w->host, network->bridge, err))
			return false;
		if (has) {
			*list_add(a, here) = network->bridge;
			return true;
		}
	}
	return true;
}

bool place_find(enum whereabouts *where, const struct view *view, struct arena *a,
		const struct world *w, struct error *err)
{
	interfaces here = {0};

	if (!find_bridge(&here, view, a, w, err))
		return false;
	*where = engine_whereabouts(&view->engine, &here);
	return true;
}

/* Somebody who names an engine on another machine may mean it. */
bool place_accept(struct view *view, struct arena *a, const struct world *w, enum whereabouts where,
		  struct error *err)
{
	view->facts.elsewhere = engine_whereabouts_text(a, &view->engine, where);
	if (where != ENGINE_IS_ELSEWHERE || docker_is_remote(w->docker))
		return true;
	return error_set(err, ELSEWHERE, "%s", view->facts.elsewhere);
}
