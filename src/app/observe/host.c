/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the engine and the host, in the order in which they depend on each other. */
#include "app/console/timings.h"
#include "app/observe/observe.h"
#include "app/observe/place.h"
#include "app/world/known.h"
#include "app/world/written.h"
#include "core/iptables/leftovers.h"
#include "core/plan/choose.h"
#include "core/plan/interfaces.h"
#include "edge/firewall/handoff.h"
#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"
#include "edge/firewall/walls.h"
#include "edge/host/file.h"
#include "edge/netlink/route.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { LEGACY_POLL_MS = 500, MAX_SWITCH = 16 };

/* The legacy variant reports no changes, so look at it from time to time. */
static void watch_legacy(struct world *w, bool on)
{
	const struct itimerspec often = {.it_value.tv_nsec = LEGACY_POLL_MS * 1000000L,
					 .it_interval.tv_nsec = LEGACY_POLL_MS * 1000000L};
	const struct itimerspec never = {0};

	if (on == (w->legacy_hash != 0))
		return;
	w->legacy_hash = on ? world_legacy_hash(w) : 0;
	timerfd_settime(w->legacy_timer, 0, w->legacy_hash ? &often : &never, NULL);
}

/* --- the host --- */

/*
 * The engine does not say whether dockerd has --allow-direct-routing. If its drops of direct access
 * were there, and are gone although dockerd rewrote nothing else, somebody flushed them. A
 * container that is being removed loses its rule before the engine says so; that is over in a
 * moment.
 */
static enum direct judge_direct(bool *lost, bool *doubted, struct direct_memory *m,
				const struct bridges_view *bridges, const struct engine *engine)
{
	if (bridges->drops_direct) {
		*m = (struct direct_memory){.written = bridges->written};
		return DIRECT_DROPPED;
	}
	if (!bridges_expect_direct_drops(engine, bridges->family)) {
		m->missed_at = 0;
		return DIRECT_UNKNOWN;
	}
	if (!m->written || m->written != bridges->written) {
		*m = (struct direct_memory){0};
		return DIRECT_OPEN;
	}
	if (!m->missed_at)
		m->missed_at = clock_ms();
	*lost = clock_ms() - m->missed_at >= DIRECT_DOUBT_MS;
	*doubted |= !*lost;
	return DIRECT_OPEN;
}

static const char *direct_is_lost(struct arena *a, const struct bridges_view *bridges)
{
	return arena_printf(
		a,
		"Docker does not drop what comes directly to containers' addresses: "
		"chain raw-PREROUTING of %s lacks its drops (flushed?); restart dockerd",
		bridges_table(bridges));
}

/* Docker's nftables backend is in use here. */
static void take_bridges(struct view *view, struct arena *a, struct world *w)
{
	struct facts *f = &view->facts;

	f->bridges = &w->memory.bridges;
	f->raw_drops = false; /* Docker's own drops are in chains that can't hold a rule of ours */
	list_each (p, &view->seen.host_prefixes) {
		if (p->dead || strchr(p->device, ' ')) /* several interfaces, or none */
			continue;
		*list_add(a, &f->devices) = p->device;
		*list_add(a, &f->routes) = (struct host_route){p->prefix, p->device};
	}
	interfaces_sort(&f->devices);
	if (view->seen.default_device)
		*list_add(a, &f->routes) = (struct host_route){.device = view->seen.default_device};
	f->takes_mark = bridges_take_mark(f->bridges);
	f->open_why = bridges_open(f->bridges, a, &view->engine, &f->devices);
	f->direct = judge_direct(&f->direct_lost, &f->direct_doubted, &w->direct[FAMILY_4],
				 f->bridges, &view->engine);
	if (!f->open_why && f->direct_lost)
		f->open_why = direct_is_lost(a, f->bridges);
	f->docker_drops = !f->open_why;
}

static bool any_has_ipv6(const struct engine *engine)
{
	list_each (network, &engine->networks)
		if (network->bridge && network->ipv6)
			return true;
	return false;
}

/* A bridge of IPv6 alone has no other route. Without them the interface is not known. */
static void take_routes6(struct facts *f, struct arena *a, const struct world *w)
{
	host_prefix_list prefixes = {0};
	struct error err = {0};

	if (!route_read_prefixes(&prefixes, a, &w->host, 6, &err))
		return;
	list_each (p, &prefixes) {
		struct prefix to = p->prefix;

		if (p->dead || strchr(p->device, ' '))
			continue;
		to.ip.family = 6;
		*list_add(a, &f->devices) = p->device;
		*list_add(a, &f->routes) = (struct host_route){to, p->device};
	}
	interfaces_sort(&f->devices);
}

/* Docker's nftables backend writes a table for each family. */
static void take_bridges6(struct facts *f, struct arena *a, struct world *w,
			  const struct engine *engine)
{
	const struct bridges_view *bridges = &w->memory.bridges6;
	struct filter6 *six = &f->six;

	six->bridges = bridges;
	take_routes6(f, a, w);
	if (bridges->exists && any_has_ipv6(engine))
		f->takes_mark &= bridges_take_mark(bridges);
	six->open_why = bridges_open(bridges, a, engine, &f->devices);
	six->direct = judge_direct(&six->direct_lost, &f->direct_doubted, &w->direct[FAMILY_6],
				   bridges, engine);
	if (!six->open_why && six->direct_lost)
		six->open_why = direct_is_lost(a, bridges);
}

/* What Docker writes of IPv6: on engines before 27 mostly nothing, and others may be told not to.
 */
static void judge_ipv6(struct facts *f, struct arena *a, struct world *w,
		       const struct engine *engine, const struct filter_view views[])
{
	const struct filter_view *view = &views[f->variant];
	struct filter6 *six = &f->six;

	six->variant = view->exists ? f->variant : choose_variant(f->docker_nftables, views);
	view = &views[six->variant];
	six->exists = view->exists;
	six->docker_user = view->docker_user && view->user_first;
	six->raw_drops = view->raw_drops && !f->docker_nftables;
	six->user_end = view->user_end;
	six->raw_end = view->raw_end;
	if (f->docker_nftables)
		take_bridges6(f, a, w, engine);
	else
		six->open_why = handoff_view_opens_ipv6(view, engine, a);
	six->docker_drops = !six->open_why;
}

/* Docker's drops do not stand, and not because nobody wanted them. */
static void judge_loss(struct facts *f, struct world *w)
{
	w->drops_stood |= f->docker_drops;
	f->drops_lost = !f->docker_drops && (w->drops_stood || (f->bridges && f->bridges->exists));
}

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

/* Read only if a network uses it: enable_icc=false is a rule for packets that stay in a bridge. */
static bool bridges_are_unfiltered(const struct engine *engine)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	list_each (network, &engine->networks)
		if (network->apart)
			return !file_read(&text, "/proc/sys/net/bridge/bridge-nf-call-iptables",
					  MAX_SWITCH, &err) ||
			       buf_text(&text)[0] != '1';
	return false;
}

/* Without an engine, nothing is done that needs one; the rest of the file is enforced. */
static bool go_on_without_engine(struct view *view, struct arena *a, struct world *w,
				 const struct filter_view *views, struct error *err)
{
	const struct traces traces = {views, &w->memory.bridges, &view->seen};

	if (!w->looked_everywhere && /* or an engine was there and has gone */
	    engine_is_absent(w->engine_trouble.code, w->engine_is_asked_for, &traces)) {
		view->facts.no_engine = arena_strdup(a, w->engine_trouble.text);
		w->engine_trouble = (struct error){0};
		return true;
	}
	if (!w->without_engine)
		*err = w->engine_trouble;
	return w->without_engine;
}

static bool read_facts(struct view *view, struct arena *a, struct world *w, struct error *err)
{
	struct filter_view views[VARIANT_LEGACY + 1] = {0}, views6[VARIANT_LEGACY + 1] = {0};
	struct facts *f = &view->facts;
	struct space *host = &view->seen.have.spaces.items[0];

	if (w->legacy_hash) /* before reading: what changes during it is noticed next time */
		w->legacy_hash = world_legacy_hash(w);
	f->mark_accept = w->options->mark_accept;
	f->mark_raw = w->options->mark_raw;
	f->handoff_top = w->options->handoff_top;
	f->counters = w->options->counters;
	f->were_containers = &w->saved.containers;
	f->bridges_were = &w->saved.bridges;
	f->forgotten = w->saved.trouble;
	views[VARIANT_NFT] = w->memory.filter;
	views6[VARIANT_NFT] = w->memory.filter6;
	if (!handoff_read(&views[VARIANT_LEGACY], a, &w->host, VARIANT_LEGACY, 4, err) ||
	    !handoff_read(&views6[VARIANT_LEGACY], a, &w->host, VARIANT_LEGACY, 6, err) ||
	    !ns_get_forward(&w->host, 4, &f->ip_forward, err))
		return false;
	if (!view->engine.up && !go_on_without_engine(view, a, w, views, err))
		return false;
	f->firewalld = w->memory.firewalld;
	f->firewalld.stands |= view->engine.firewalld || views[VARIANT_NFT].firewalld ||
			       views[VARIANT_LEGACY].firewalld;
	f->docker_nftables = docker_writes_nftables(&view->engine, views, &w->memory.bridges);
	f->no_nf_tables = w->no_nf_tables;
	f->variant = choose_variant(f->docker_nftables, views);
	if (!choose_backend(f, w->closing ? NULL : w->options->backend, err))
		return false;
	w->legacy6_stands = views6[VARIANT_LEGACY].exists;
	watch_legacy(w, f->variant == VARIANT_LEGACY && views[VARIANT_LEGACY].exists);
	f->docker_user = views[f->variant].docker_user && views[f->variant].user_first;
	f->docker_user_late = views[f->variant].docker_user && !f->docker_user;
	f->mixed = views[VARIANT_NFT].docker_isolation && views[VARIANT_LEGACY].docker_isolation;
	f->open_why = handoff_view_opens(&views[f->variant], &view->engine, a);
	f->docker_drops = !f->open_why;
	f->raw_drops = views[f->variant].raw_drops;
	f->user_end = views[f->variant].user_end;
	f->raw_end = views[f->variant].raw_end;
	f->n_foreign = views[f->variant].n_foreign;
	f->no_filter = f->raw_drops && !views[f->variant].exists;
	if (f->docker_nftables)
		take_bridges(view, a, w);
	judge_ipv6(f, a, w, &view->engine, views6);
	judge_loss(f, w);
	f->forward_drop = views[f->variant].forward_drop;
	view->save = views[VARIANT_LEGACY].save;
	view->save_raw = views[VARIANT_LEGACY].save_raw;
	view->save6 = views6[VARIANT_LEGACY].save;
	view->save6_raw = views6[VARIANT_LEGACY].save_raw;
	f->bridges_unfiltered = bridges_are_unfiltered(&view->engine);
	host->forward = f->ip_forward == 1;
	host->forward_drop = f->forward_drop;
	for (enum variant v = VARIANT_NFT; v <= VARIANT_LEGACY; v++) {
		list_each (handoff, &views[v].handoffs)
			*list_add(a, &host->handoffs) = *handoff;
		list_each (handoff, &views6[v].handoffs)
			*list_add(a, &host->handoffs) = *handoff;
	}
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
	return check_place(view, a, w, err) && read_facts(view, a, w, err) &&
	       iptables_read(&host->chains, a, &w->host, VARIANT_LEGACY, err);
}

/*
 * A host that forwards takes no route from a router's advertisements, unless accept_ra is 2
 * (Documentation/networking/ip-sysctl). 0: something else than the kernel looks after them.
 */
static const char *why_not_forward(struct arena *a, const char *device)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	if (!file_read(&text, arena_printf(a, "/proc/sys/net/ipv6/conf/%s/accept_ra", device),
		       MAX_SWITCH, &err) ||
	    buf_text(&text)[0] != '1')
		return NULL;
	return arena_printf(a,
			    "the default route of IPv6 comes from a router's advertisements on %s, "
			    "and would be lost with net.ipv6.conf.all.forwarding=1; sysctl "
			    "net.ipv6.conf.%s.accept_ra=2",
			    device, device);
}

bool observe_ipv6(struct view *view, struct arena *a, const struct world *w, struct error *err)
{
	struct facts *f = &view->facts;
	host_prefix_list prefixes = {0};
	int forward;

	if (!ns_get_forward(&w->host, 6, &forward, err) ||
	    !route_read_prefixes(&prefixes, a, &w->host, 6, err))
		return false;
	view->seen.have.spaces.items[0].forward6 = forward == 1;
	list_each (p, &prefixes)
		if (p->prefix.len)
			*list_add(a, &view->seen.host_prefixes) = *p;
		else {
			if (p->advertised && !forward && !f->no_forward6)
				f->no_forward6 = why_not_forward(a, p->device);
			if (!view->seen.default_device6 && !p->dead && !strchr(p->device, ' '))
				view->seen.default_device6 = p->device;
		}
	f->routed = view->seen.host_prefixes.items;
	f->n_routed = view->seen.host_prefixes.n;
	return true;
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
