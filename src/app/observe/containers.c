/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads containers: what inspect says, and what is in their namespaces. The kernel reports every
 * change in a namespace that is held open, so an unchanged one is not read again.
 */
#include "app/console/timings.h"
#include "app/observe/observe.h"
#include "app/world/known.h"
#include "base/hash.h"
#include "core/compile/nodes.h"
#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"
#include "edge/firewall/walls.h"
#include "edge/netlink/ports.h"
#include "edge/netlink/routing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has_static_address(const struct engine_container *c)
{
	list_each (e, &c->endpoints)
		if (e->configured.family || e->configured6.family)
			return true;
	return false;
}

/* Containers that are not known yet. Those that are gone become NULL. */
static bool inspect_all(struct view *view, struct world *w, struct error *err)
{
	struct moment start = timing_start();
	bool ok = true;

	for (uint32_t i = 0; i < view->engine.containers.n && ok; i++) {
		struct known **k = &view->known[i];

		if (!*k || (*k)->inspected ||
		    known_inspect(w, *k, &view->engine.containers.items[i], err))
			continue;
		*k = NULL;
		if (err->code != 404) {
			w->engine_trouble = *err;
			ok = w->without_engine;
		}
		if (ok)
			*err = (struct error){0};
	}
	timing_part("engine", start);
	return ok;
}

/* Containers with connections that must change: the plan says what they would lose. */
static void recall_moved(struct view *view, struct world *w, const struct state *want)
{
	const struct engine_container *all = view->engine.containers.items;

	list_each (at, &want->attachments) {
		const struct engine_container *c =
			engine_find_container(&view->engine, at->container);
		const struct engine_endpoint *e = c ? engine_find_endpoint(c, at->network) : NULL;

		if (e && !engine_has_addresses(e, at->ip, at->ip6) && !view->known[c - all])
			view->known[c - all] = known_recall(w, c);
	}
	for (uint32_t i = 0; w->replace && i < view->engine.containers.n; i++)
		if (!view->known[i])
			view->known[i] = known_recall(w, &all[i]);
}

static void take_inspected(struct engine_container *c, const struct engine_container *inspected)
{
	c->mac = inspected->mac;
	list_each (e, &c->endpoints) {
		const struct engine_endpoint *same = engine_find_endpoint(inspected, e->network);

		e->managed = same && same->managed;
	}
}

/*
 * The engine takes a container that ended apart before it answers questions about it (Docker 20:
 * 150 ms). The pass that leaves out a target does not wait for that.
 */
static struct known *recall(struct world *w, const struct engine_container *c)
{
	return w->use_cached_engine && world_has_ended(w, c->name) ? NULL : known_recall(w, c);
}

/* Marks of endpoints are not in the list (before API 1.44 never); inspect has them. */
static bool read_marks(struct view *view, struct arena *a, struct world *w,
		       const struct state *want, struct error *err)
{
	view->known = arena_array(a, struct known *, view->engine.containers.n);
	for (uint32_t i = 0; i < view->engine.containers.n; i++)
		if (has_static_address(&view->engine.containers.items[i]))
			view->known[i] = recall(w, &view->engine.containers.items[i]);
	recall_moved(view, w, want);
	if (!inspect_all(view, w, err))
		return false;
	for (uint32_t i = 0; i < view->engine.containers.n; i++)
		if (view->known[i])
			take_inspected(&view->engine.containers.items[i],
				       &view->known[i]->container);
	return true;
}

/* --- their namespaces --- */

static bool was_visited(const struct view *view, const struct world *w,
			const struct engine_container *c)
{
	const struct known *k = view->known[c - view->engine.containers.items];

	k = k ? k : known_find(w, c->id);
	return k && k->visited;
}

/* Our chains are in iptables-legacy, whose changes the kernel does not report. */
static bool must_be_polled(const struct space *space)
{
	list_each (chain, &space->chains)
		if (chain->variant == VARIANT_LEGACY)
			return true;
	return false;
}

/* Whether other people's drops there matter. want: the wanted namespace, or NULL. */
static bool translates(const struct space *want)
{
	return want && want->flows && want->flows->translations.n;
}

static bool read_walls(struct memory *m, const struct world *w, const struct ns *ns,
		       struct error *err)
{
	static const bool none[N_FAMILIES];

	return (w->no_nf_tables || walls_read(&m->space.walls, &m->arena, ns, none, err)) &&
	       walls_read_legacy(&m->space.walls, &m->arena, ns, err);
}

/* most bytes of an element or a rule in a dump, without its key and expressions */
enum { DUMPED_ELEMENT = 128, DUMPED_RULE = 1024 };

/*
 * A container's owner can fill its namespace. We read no more than twice what is wanted, plus this.
 */
enum { MOST_BYTES = 256 << 10, MOST_ROUTES = 4096, PATIENCE_MS = 1000 };

static void bound_reading(struct ns *ns, const struct space *want)
{
	ns->most_bytes = MOST_BYTES;
	ns->most_routes = MOST_ROUTES;
	ns->until_ms = clock_ms() + PATIENCE_MS;
	if (!want)
		return;
	ns->most_routes += 2 * want->routes.n;
	list_each (set, &want->ruleset.sets)
		ns->most_bytes += 2 * (size_t)set->n * (set_stride(set) + DUMPED_ELEMENT);
	list_each (chain, &want->ruleset.chains)
		ns->most_bytes += 2 * (size_t)chain->rules.n * DUMPED_RULE;
}

static bool read_parts(struct memory *m, const struct world *w, const struct ns *ns,
		       struct error *err)
{
	struct space *space = &m->space;
	route_list routes = {0};
	int forward, forward6;

	if (!w->no_nf_tables && (!fw_nft_read(&space->ruleset, &m->arena, ns, NULL, err) ||
				 !iptables_read(&space->chains, &m->arena, ns, VARIANT_NFT, err)))
		return false;
	if (m->has_walls && !read_walls(m, w, ns, err))
		return false;
	if (!route_read(&routes, &m->arena, ns, err) ||
	    !routing_read(&space->routing[FAMILY_4], &m->arena, ns, 4, err) ||
	    (m->has_ipv6 && !routing_read(&space->routing[FAMILY_6], &m->arena, ns, 6, err)) ||
	    !ns_get_forward(ns, 4, &forward, err) || !ns_get_forward(ns, 6, &forward6, err) ||
	    !iptables_read(&space->chains, &m->arena, ns, VARIANT_LEGACY, err))
		return false;
	space->routes.items = routes.items;
	space->routes.n = routes.n;
	space->forward = forward == 1;
	space->forward6 = forward6 == 1;
	return true;
}

enum { FIRST_REST_MS = 1000, MAX_REST_MS = 60000 };

/*
 * A namespace that took too long to read is not read in every pass, because all others wait
 * meanwhile.
 */
static void rest(struct known *k, int code)
{
	if (code != E2BIG && code != ETIMEDOUT && code != EBUSY)
		return;
	k->rest_ms = k->rest_ms ? 2 * k->rest_ms : FIRST_REST_MS;
	k->rest_ms = k->rest_ms < MAX_REST_MS ? k->rest_ms : MAX_REST_MS;
	k->again_at_ms = clock_ms() + k->rest_ms;
}

/* Without an address no flow of IPv6 is the container's. */
static bool has_ipv6(const struct engine_container *c)
{
	list_each (endpoint, &c->endpoints)
		if (endpoint->ip6.family)
			return true;
	return false;
}

/* What is asked for now was not read last time. */
static bool lacks_parts(const struct memory *m, const struct engine_container *c,
			const struct space *want)
{
	return (translates(want) && !m->has_walls) || (has_ipv6(c) && !m->has_ipv6);
}

static void read_space(struct known *k, const struct world *w, const struct engine_container *c,
		       const struct space *want)
{
	struct memory *m = &k->memory;
	struct error err = {0};

	arena_release(&m->arena);
	*m = (struct memory){.has_walls = translates(want), .has_ipv6 = has_ipv6(c)};
	ns_listen(&k->ns);
	bound_reading(&k->ns, want);
	m->space.reachable = read_parts(m, w, &k->ns, &err);
	k->ns.until_ms = 0;
	if (m->space.reachable) {
		m->valid = !must_be_polled(&m->space);
		k->rest_ms = 0;
		return;
	}
	arena_release(&m->arena);
	*m = (struct memory){0};
	m->obstacle = arena_strdup(&m->arena, err.text);
	rest(k, err.code);
}

static int by_container(const void *name, const void *resident)
{
	return strcmp(name, ((const struct resident *)resident)->container);
}

/* It runs at a strict network, where one port of the bridge is its own. */
static bool is_resident(const struct state *want, const struct engine_container *c)
{
	list_each (strict, &want->strict)
		if (strict->residents.n &&
		    bsearch(c->name, strict->residents.items, strict->residents.n,
			    sizeof(struct resident), by_container))
			return true;
	return false;
}

static void find_number(struct space *space, const struct world *w, const struct ns *ns,
			struct error *err)
{
	int32_t nsid;

	if (!ports_find_nsid(&nsid, &w->host, ns, err))
		return;
	space->has_nsid = nsid != NO_NSID;
	space->nsid = nsid;
}

/* A container that can't be read is a finding of its own, not a failed pass. */
static void observe_container(struct view *view, struct arena *a, struct world *w,
			      const struct engine_container *c, const struct space *want,
			      bool resident)
{
	struct space *space = list_add(a, &view->seen.have.spaces);
	struct place *place = list_add(a, &view->places);
	struct error err = {0};
	struct known *k = view->known[c - view->engine.containers.items];

	k = k ? k : known_learn(w, c, &err);
	if (k)
		k->visited = true;
	if (k && k->container.pid && !k->open) {
		k->open = ns_open_container(&k->ns, k->container.pid, c->id, &err);
		if (k->open)
			world_listen_to(w, &k->ns);
		else
			k->fingerprint = 0; /* ask again: the process may have changed */
		view->anybody_gone |= !k->open && (err.code == ESRCH || err.code == ENOENT);
	}
	if (k && k->open) {
		*place = (struct place){&k->ns, &k->memory, k};
		known_has_news(k);
		if ((!k->memory.valid || lacks_parts(&k->memory, c, want)) &&
		    clock_ms() >= k->again_at_ms)
			read_space(k, w, c, want);
		*space = k->memory.space;
		space->obstacle = k->memory.obstacle;
		space->pid = k->container.pid;
		if (resident)
			find_number(space, w, &k->ns, &err);
	}
	space->container = c->name;
	space->container_id = c->id;
	if (!space->reachable && err.text[0] && err.code != 404)
		space->obstacle = arena_strdup(a, err.text);
}

/* NULL: nothing unusual. What was not read has no family. */
static const struct routing *own_ways(const struct known *k, enum family f)
{
	const struct routing *r = &k->memory.space.routing[f];

	return k->open && k->memory.valid && r->family && !r->only_device ? r : NULL;
}

bool observe_routings(struct view *view, struct arena *a, const struct world *w)
{
	const struct engine *engine = &view->engine;
	const struct routing *(*routings)[N_FAMILIES] = NULL;
	uint64_t before = view->routings;

	view->routings = 0;
	for (uint32_t i = 0; i < w->n_known; i++) {
		const struct known *k = w->known[i].known;
		const struct engine_container *c;

		if ((!own_ways(k, FAMILY_4) && !own_ways(k, FAMILY_6)) || !k->container.name)
			continue;
		c = engine_find_container(engine, k->container.name);
		if (!c || strcmp(c->id, k->id) != 0)
			continue;
		if (!routings)
			routings = arena_alloc(a, engine->containers.n * sizeof(*routings));
		for (enum family f = 0; f < N_FAMILIES; f++) {
			const struct routing *r = own_ways(k, f);

			routings[c - engine->containers.items][f] = r;
			view->routings = hash_word(view->routings, r ? r->digest : 0);
		}
		view->routings = hash_more(view->routings, c->id, strlen(c->id));
	}
	view->facts.routings = (const struct routing *const(*)[N_FAMILIES])routings;
	return view->routings != before;
}

/* --- the ports that lead to them --- */

static bool has_name(const name_list *names, const char *name)
{
	list_each (known, names)
		if (!strcmp(*known, name))
			return true;
	return false;
}

bool observe_ports(struct view *view, struct arena *a, struct world *w, const struct config *config,
		   struct error *err)
{
	name_list bridges = {0}, strict = {0};

	if (!w->looked_for_ports && !ports_find_marked(&bridges, a, &w->host, err))
		return false;
	w->looked_for_ports = !bridges.n;
	list_each (n, &config->networks) {
		const char *bridge =
			n->isolation == ISOLATION_STRICT ? network_bridge(n, &view->engine) : NULL;

		if (bridge)
			*list_add(a, &strict) = bridge;
		if (bridge && !has_name(&bridges, bridge))
			*list_add(a, &bridges) = bridge;
		w->looked_for_ports &= !bridge;
	}
	world_watch_ports(w, bridges.n); /* before reading: changes from now on are heard */
	list_each (bridge, &bridges) {
		struct bridge_ports *ports = list_add(a, &view->seen.have.ports);

		if (!ports_read(ports, a, &w->host, *bridge, err))
			return false;
		if (has_name(&strict, *bridge))
			list_each (port, &ports->ports)
				*list_add(a, &view->facts.strict_ports) = port->name;
	}
	interfaces_sort(&view->facts.strict_ports);
	return true;
}

bool observe_containers(struct view *view, struct arena *a, struct world *w,
			const struct state *want, struct error *err)
{
	if (view->engine.up) /* without an engine no container is known to be gone */
		known_forget_dead(w, &view->engine);
	if (!read_marks(view, a, w, want, err))
		return false;
	list_each (c, &view->engine.containers) {
		uint32_t i;
		bool resident;

		if (!c->running || engine_shares_namespace(c))
			continue;
		i = state_find_space(want, c->name);
		resident = want->strict.n && is_resident(want, c);
		if (!w->looked_everywhere || has_static_address(c) || i != NONE || resident ||
		    was_visited(view, w, c))
			observe_container(view, a, w, c, i == NONE ? NULL : &want->spaces.items[i],
					  resident);
	}
	/* without an engine there was nothing to look for */
	w->looked_everywhere |= view->engine.up;
	return true;
}
