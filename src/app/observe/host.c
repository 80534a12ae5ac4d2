/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the engine and the host, in the order in which they depend on each other. */
#include "app/console/timings.h"
#include "app/observe/facts.h"
#include "app/observe/place.h"
#include "app/world/known.h"
#include "app/world/written.h"
#include "core/iptables/leftovers.h"
#include "core/plan/interfaces.h"
#include "edge/firewall/handoff.h"
#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"
#include "edge/firewall/walls.h"
#include "edge/netlink/route.h"

#include <string.h>

/*
 * Our verdict is handed over in this filter. Rules that an earlier Docker left there, before it
 * wrote nf_tables, are in the way.
 */
static bool is_dockers_filter(const struct filter_view *view, const struct bridges_view *bridges)
{
	return view->docker_user && view->docker_isolation && !bridges->exists;
}

/*
 * What the host's nf_tables hold that concerns us. The kernel counts the transactions of a
 * namespace: while the count is the same, what was read is current, and one message is enough to
 * know.
 */
static bool read_tables(struct memory *m, struct world *w, struct error *err)
{
	uint32_t before, after;
	const struct ns *ns = &w->host;
	bool known[N_FAMILIES];

	w->no_nf_tables = false;
	if (!fw_nft_generation(&before, ns, err)) {
		w->no_nf_tables = nf_tables_is_absent(err->code);
		if (!w->no_nf_tables)
			return false;
		*err = (struct error){0};
		arena_release(&m->arena);
		*m = (struct memory){0};
		return true;
	}
	if (m->valid && m->generation == before)
		return true;
	arena_release(&m->arena);
	*m = (struct memory){.generation = before, .believed = written_sets(w, before)};
	if (!fw_nft_read(&m->space.ruleset, &m->arena, ns, written_sets(w, before), err) ||
	    !fw_nft_read_bridge(&m->space.bridge, &m->arena, ns, err) ||
	    !iptables_read(&m->space.chains, &m->arena, ns, VARIANT_NFT, err) ||
	    !handoff_read(&m->filter, &m->arena, ns, VARIANT_NFT, 4, err) ||
	    !handoff_read(&m->filter6, &m->arena, ns, VARIANT_NFT, 6, err) ||
	    !handoff_read_bridges(&m->bridges, &m->arena, ns, 4, w->options->mark_accept, err) ||
	    !handoff_read_bridges(&m->bridges6, &m->arena, ns, 6, w->options->mark_accept, err) ||
	    !handoff_read_firewalld(&m->firewalld, &m->arena, ns, err))
		return false;
	known[FAMILY_4] = is_dockers_filter(&m->filter, &m->bridges);
	known[FAMILY_6] = is_dockers_filter(&m->filter6, &m->bridges6);
	if (!walls_read(&m->space.walls, &m->arena, ns, known, err) ||
	    !fw_nft_generation(&after, ns, err))
		return false;
	list_each (wall, &m->filter.walls)
		*list_add(&m->arena, &m->space.walls) = *wall;
	list_each (wall, &m->filter6.walls)
		*list_add(&m->arena, &m->space.walls) = *wall;
	m->valid = before == after;
	written_release(w);
	w->written.expected = m->valid ? before : 0;
	return true;
}

/*
 * A change that the kernel reports is repaired without asking the engine, whose events report every
 * change of its own. A slow dockerd must not keep a flushed host open.
 */
static void read_engine(struct view *view, struct world *w)
{
	struct engine_memory *m = &w->engine;
	struct moment start = timing_start();

	w->engine_trouble = (struct error){0};
	if (w->closing) {
		error_set(&w->engine_trouble, -1, "the engine was not asked yet");
		return;
	}
	if (!w->use_cached_engine || !m->valid) {
		arena_release(&m->arena);
		m->said = (struct engine){0};
		m->valid = false; /* somebody may read it before the pass ends */
		m->valid = docker_read(w->docker, &m->said, &m->arena, &w->engine_trouble);
	}
	timing_part("engine", start);
	if (m->valid)
		view->engine = m->said;
}

/*
 * The kernel may report a removed bridge before the engine reports its network. Before refusing
 * anything, ask the engine again.
 */
static bool check_place(struct view *view, struct arena *a, struct world *w, struct error *err)
{
	enum whereabouts where;

	if (!place_find(&where, view, a, w, err))
		return false;
	if (where == ENGINE_IS_ELSEWHERE) {
		w->engine.valid = false;
		view->engine = (struct engine){0};
		read_engine(view, w);
		*err = w->engine_trouble;
		if (!view->engine.up || !place_find(&where, view, a, w, err))
			return false;
	}
	return place_accept(view, a, w, where, err);
}

/* What this program knows about its own actions. Copied, because a pass changes it. */
static void take_memory(struct view *view, struct arena *a, struct world *w)
{
	saved_refresh(&w->saved);
	refusals_expire(w);
	list_each (k, &w->saved.connections)
		*list_add(a, &view->seen.kept) = *k;
	list_each (k, &w->saved.networks)
		*list_add(a, &view->seen.kept_networks) = *k;
	list_each (r, &w->refusals)
		*list_add(a, &view->seen.refusals) = *r;
}

bool observe_host(struct view *view, struct arena *a, struct world *w, struct error *err)
{
	struct space *host;
	host_prefix_list prefixes = {0};

	ns_listen(&w->host);
	*view = (struct view){0};
	view->seen.engine = &view->engine;
	view->seen.facts = &view->facts;
	take_memory(view, a, w);
	read_engine(view, w);
	if (!view->engine.up && w->engine_is_asked_for && !w->without_engine) {
		*err = w->engine_trouble;
		return false;
	}
	if (!read_tables(&w->memory, w, err))
		return false;
	host = list_add(a, &view->seen.have.spaces);
	*host = w->memory.space;
	host->reachable = true;
	*list_add(a, &view->places) = (struct place){.ns = &w->host, .memory = &w->memory};
	if (!route_read_prefixes(&prefixes, a, &w->host, 4, err))
		return false;
	list_each (prefix, &prefixes)
		if (prefix->prefix.len)
			*list_add(a, &view->seen.host_prefixes) = *prefix;
		else if (!view->seen.default_device && !strchr(prefix->device, ' '))
			view->seen.default_device = prefix->device;
	view->facts.routed = view->seen.host_prefixes.items;
	view->facts.n_routed = view->seen.host_prefixes.n;
	return check_place(view, a, w, err) && observe_facts(view, a, w, err) &&
	       iptables_read(&host->chains, a, &w->host, VARIANT_LEGACY, err);
}

void observe_interfaces(struct view *view, struct arena *a, const struct state *want)
{
	list_each (w, &want->spaces) {
		uint32_t i = w->container ? state_find_space(&view->seen.have, w->container) : 0;
		name_list names = {0};

		if (i == NONE || !view->seen.have.spaces.items[i].reachable)
			continue;
		interfaces_named(&names, a, w->flows);
		list_each (name, &names)
			*list_add(a, &view->seen.interfaces) = (struct named_interface){
				w->container, *name,
				route_has_interface(view->places.items[i].ns, *name)};
	}
}

bool world_has_interface(const struct world *w, const struct named_interface *interface)
{
	const struct ns *ns =
		interface->container ? known_namespace(w, interface->container) : &w->host;

	return !ns || route_has_interface(ns, interface->name);
}

void observe_walls(struct view *view, struct arena *a)
{
	struct space *host = &view->seen.have.spaces.items[0];
	wall_list walls = {0};

	list_each (wall, &host->walls) /* these belong to the memory of the last reading, which this
					  pass must not change */
		*list_add(a, &walls) = *wall;
	walls_of_save(&walls, VARIANT_LEGACY, 4, a, view->save, view->save_raw);
	walls_of_save(&walls, VARIANT_LEGACY, 6, a, view->save6, view->save6_raw);
	host->walls = walls;
}

static bool read_leftovers(struct space *have, struct arena *a, const struct ns *ns,
			   const struct flows *flows, bool no_nf_tables, struct error *err)
{
	for (enum variant v = no_nf_tables ? VARIANT_LEGACY : VARIANT_NFT; v <= VARIANT_LEGACY; v++)
		each_family (family) {
			AUTO_BUF struct buf save = {0};

			if (family == 6 && !flows->ipv6)
				continue;
			if (!iptables_save(&save, ns, v, family, err))
				return false;
			leftovers_find(&have->leftovers, a, v, family, buf_text(&save), flows);
		}
	return true;
}

bool observe_leftovers(struct view *view, struct arena *a, const struct state *want,
		       struct error *err)
{
	list_each (w, &want->spaces) {
		uint32_t i = w->container ? state_find_space(&view->seen.have, w->container) : 0;
		struct space *have = i == NONE ? NULL : &view->seen.have.spaces.items[i];

		if (!have || !have->reachable ||
		    read_leftovers(have, a, view->places.items[i].ns, w->flows,
				   view->facts.no_nf_tables, err))
			continue;
		if (!w->container)
			return false;
		/* only this search failed, not the pass */
		have->not_searched = arena_strdup(a, err->text);
		*err = (struct error){0};
	}
	return true;
}
