/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Thin reads: who is asked, in which order, and what is remembered from pass to pass. */
#include "app/world.h"
#include "core/leftovers.h"
#include "edge/fw_nft.h"
#include "edge/handoff.h"
#include "edge/iptables.h"
#include "edge/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* A closed descriptor leaves the epoll by itself. */
static void listen_to(struct world *w, const struct ns *ns)
{
	const int fds[] = {ns->nf_ear, ns->route_ear};

	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		struct epoll_event event = {.events = EPOLLIN};

		if (fds[i] >= 0)
			epoll_ctl(w->ears, EPOLL_CTL_ADD, fds[i], &event);
	}
}

enum { LEGACY_POLL_MS = 500 };

/* Where the legacy variant is in play it is looked at now and then: it has no notifications. */
static void watch_legacy(struct world *w, bool on)
{
	const struct itimerspec often = {.it_value.tv_nsec = LEGACY_POLL_MS * 1000000L,
					 .it_interval.tv_nsec = LEGACY_POLL_MS * 1000000L};
	const struct itimerspec never = {0};

	if (on == (w->legacy_shape != 0))
		return;
	w->legacy_shape = on ? iptables_legacy_shape(w->legacy) : 0;
	timerfd_settime(w->legacy_timer, 0, w->legacy_shape ? &often : &never, NULL);
}

static bool legacy_changed(struct world *w)
{
	uint64_t times, now;

	if (read(w->legacy_timer, &times, sizeof(times)) != sizeof(times))
		return false;
	now = iptables_legacy_shape(w->legacy);
	if (now == w->legacy_shape)
		return false;
	w->legacy_shape = now;
	return true;
}

bool world_open(struct world *w, const struct options *options, struct error *err)
{
	struct docker_options docker = docker_options_from_environment();

	*w = (struct world){
		.options = options, .host = NS_INIT, .ears = -1, .legacy = -1, .legacy_timer = -1};
	w->legacy = iptables_open_legacy();
	w->legacy_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->docker = docker_new(&docker, err);
	w->ears = epoll_create1(EPOLL_CLOEXEC);
	if (w->ears < 0)
		return error_set(err, errno, "epoll");
	if (!w->docker || !ns_open_host(&w->host, err))
		return false;
	listen_to(w, &w->host);
	epoll_ctl(w->ears, EPOLL_CTL_ADD, w->legacy_timer,
		  &(struct epoll_event){.events = EPOLLIN});
	return true;
}

bool world_heard_changes(struct world *w)
{
	bool heard = ns_heard_changes(&w->host);

	heard |= legacy_changed(w);
	for (uint32_t i = 0; i < w->n_known; i++)
		if (w->known[i]->open)
			heard |= ns_heard_changes(&w->known[i]->ns);
	return heard;
}

static void known_free(struct known *k)
{
	if (k->open)
		ns_close(&k->ns);
	arena_release(&k->arena);
	free(k);
}

void world_close(struct world *w)
{
	for (uint32_t i = 0; i < w->n_known; i++)
		known_free(w->known[i]);
	free(w->known);
	ns_close(&w->host);
	close_at_exit_of_scope(&w->ears);
	close_at_exit_of_scope(&w->legacy_timer);
	close_at_exit_of_scope(&w->legacy);
	docker_free(w->docker);
	*w = (struct world){.host = NS_INIT, .ears = -1, .legacy = -1, .legacy_timer = -1};
}

/* --- the host --- */

/* Docker's own chains tell which variant it writes; without them, the one that is in use at all. */
static enum variant choose_variant(const struct engine *engine, const struct filter_view *views)
{
	static const enum variant order[] = {VARIANT_NFT, VARIANT_LEGACY};

	if (engine->firewall == DOCKER_FIREWALL_NFTABLES)
		return VARIANT_NONE;
	for (size_t i = 0; i < COUNT_OF(order); i++)
		if (views[order[i]].docker_user && views[order[i]].docker_isolation)
			return order[i];
	for (size_t i = 0; i < COUNT_OF(order); i++)
		if (views[order[i]].exists)
			return order[i];
	return VARIANT_NONE;
}

/* Rules in the variant that Docker does not use would be void: its drops are final. */
static bool choose_backend(struct facts *f, const char *asked, struct error *err)
{
	static const char *const names[] = {
		[VARIANT_NFT] = "iptables-nft", [VARIANT_LEGACY] = "iptables-legacy"};

	f->backend = BACKEND_NFTABLES;
	if (!asked || !strcmp(asked, "nftables"))
		return true;
	for (enum variant v = VARIANT_NFT; v <= VARIANT_LEGACY; v++)
		if (!strcmp(asked, names[v])) {
			f->backend = BACKEND_IPTABLES;
			if (f->variant == VARIANT_NONE)
				f->variant = v;
			if (f->variant == v)
				return true;
		}
	return error_set(err, -1,
			 "the backend %s would be void: the firewall here is %s, whose drops are "
			 "final; use HARBORWALL_BACKEND=nftables or %s",
			 asked, names[f->variant], names[f->variant]);
}

static bool read_bridges(struct facts *f, struct arena *a, struct world *w, struct error *err)
{
	struct bridges_view bridges;

	if (!handoff_read_bridges(&bridges, a, &w->host, f->mark_accept, err))
		return false;
	f->docker_drops = bridges.drops;
	f->raw_drops = bridges.raw_drops;
	f->takes_mark = bridges.takes_mark;
	return true;
}

static bool read_facts(struct view *view, struct arena *a, struct world *w, struct error *err)
{
	struct filter_view views[VARIANT_LEGACY + 1] = {0};
	struct facts *f = &view->facts;
	struct space *host = &view->seen.have.spaces.items[0];

	if (w->legacy_shape) /* before it is read: what changes meanwhile is seen next time */
		w->legacy_shape = iptables_legacy_shape(w->legacy);
	f->mark_accept = w->options->mark_accept;
	f->mark_raw = w->options->mark_raw;
	if (!handoff_read(&views[VARIANT_NFT], a, &w->host, VARIANT_NFT, err) ||
	    !handoff_read(&views[VARIANT_LEGACY], a, &w->host, VARIANT_LEGACY, err) ||
	    !ns_get_forward(&w->host, &f->ip_forward, err))
		return false;
	if (!handoff_read_firewalld(&f->firewalld, a, &w->host, err))
		return false;
	f->firewalld.stands |= view->engine.firewalld || views[VARIANT_NFT].firewalld ||
			       views[VARIANT_LEGACY].firewalld;
	f->docker_nftables = view->engine.firewall == DOCKER_FIREWALL_NFTABLES;
	f->variant = choose_variant(&view->engine, views);
	watch_legacy(w, f->variant == VARIANT_LEGACY);
	if (!choose_backend(f, w->options->backend, err))
		return false;
	f->docker_user = views[f->variant].docker_user && views[f->variant].user_first;
	f->mixed = views[VARIANT_NFT].docker_isolation && views[VARIANT_LEGACY].docker_isolation;
	f->open_why = handoff_view_opens(&views[f->variant], &view->engine, a);
	f->docker_drops = !f->open_why;
	f->raw_drops = views[f->variant].raw_drops;
	if (f->docker_nftables && !read_bridges(f, a, w, err))
		return false;
	f->forward_drop = views[f->variant].forward_drop;
	host->forward = f->ip_forward == 1;
	host->forward_drop = f->forward_drop;
	for (enum variant v = VARIANT_NFT; v <= VARIANT_LEGACY; v++)
		list_each (handoff, &views[v].handoffs)
			*list_add(a, &host->handoffs) = *handoff;
	return true;
}

static bool read_engine(struct view *view, struct arena *a, struct world *w, struct error *err)
{
	w->engine_trouble = (struct error){0};
	if (docker_read(w->docker, &view->engine, a, &w->engine_trouble))
		return true;
	view->engine = (struct engine){0};
	if (!w->without_engine)
		*err = w->engine_trouble;
	return w->without_engine;
}

static bool read_chains(struct space *space, struct arena *a, const struct ns *ns,
			struct error *err)
{
	return iptables_read(&space->chains, a, ns, VARIANT_NFT, err) &&
	       iptables_read(&space->chains, a, ns, VARIANT_LEGACY, err);
}

bool observe_host(struct view *view, struct arena *a, struct world *w, struct error *err)
{
	struct space *host;
	host_prefix_list prefixes = {0};

	*view = (struct view){0};
	view->seen.engine = &view->engine;
	view->seen.facts = &view->facts;
	if (!read_engine(view, a, w, err))
		return false;
	host = list_add(a, &view->seen.have.spaces);
	host->reachable = true;
	*list_add(a, &view->ns) = &w->host;
	if (!read_facts(view, a, w, err) || !fw_nft_read(&host->ruleset, a, &w->host, err) ||
	    !read_chains(host, a, &w->host, err) ||
	    !route_read_prefixes(&prefixes, a, &w->host, err))
		return false;
	list_each (prefix, &prefixes)
		*list_add(a, &view->seen.host_prefixes) = *prefix;
	return true;
}

/* --- what we know of containers --- */

/* FNV-1a over what the list shows of a container. */
static void mix(uint64_t *hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*hash = (*hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3;
}

static uint64_t fingerprint(const struct engine_container *c)
{
	uint64_t hash = 0xcbf29ce484222325;

	mix(&hash, &c->running, sizeof(c->running));
	list_each (e, &c->endpoints) {
		mix(&hash, e->network, strlen(e->network) + 1);
		if (e->network_id)
			mix(&hash, e->network_id, strlen(e->network_id) + 1);
		mix(&hash, e->ip.bytes, sizeof(e->ip.bytes));
		mix(&hash, e->configured.bytes, sizeof(e->configured.bytes));
	}
	return hash;
}

static uint32_t known_position(const struct world *w, const char *id)
{
	uint32_t low = 0, high = w->n_known;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (strcmp(w->known[middle]->id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct known *known_find(const struct world *w, const char *id)
{
	uint32_t at = known_position(w, id);

	return at < w->n_known && !strcmp(w->known[at]->id, id) ? w->known[at] : NULL;
}

static struct known *known_add(struct world *w, const char *id)
{
	uint32_t at = known_position(w, id);
	struct known *k = xmalloc(sizeof(*k));

	*k = (struct known){.ns = NS_INIT};
	strncpy(k->id, id, sizeof(k->id) - 1);
	if (w->n_known == w->cap_known) {
		w->cap_known = w->cap_known ? 2 * w->cap_known : 64;
		w->known = xrealloc(w->known, w->cap_known * sizeof(struct known *));
	}
	memmove(w->known + at + 1, w->known + at, (w->n_known - at) * sizeof(struct known *));
	w->known[at] = k;
	w->n_known++;
	return k;
}

static void known_forget(struct world *w, struct known *k)
{
	uint32_t at = known_position(w, k->id);

	memmove(w->known + at, w->known + at + 1, (--w->n_known - at) * sizeof(struct known *));
	known_free(k);
}

/* Containers that are gone, or whose first process died: a held socket would keep a dead namespace.
 */
static void forget_the_dead(struct world *w, const struct engine *engine)
{
	for (uint32_t i = w->n_known; i-- > 0;) {
		struct known *k = w->known[i];
		const struct engine_container *c = engine_find_container(engine, k->container.name);

		if (!c || strcmp(c->id, k->id) != 0 || (k->open && !ns_is_alive(&k->ns)))
			known_forget(w, k);
	}
}

/* Inspects, unless nothing changed since the last time. NULL: the container is gone. */
static struct known *know(struct world *w, const struct engine_container *c, struct error *err)
{
	struct known *k = known_find(w, c->id);
	uint64_t now = fingerprint(c);

	if (k && k->fingerprint == now)
		return k;
	if (k)
		known_forget(w, k);
	k = known_add(w, c->id);
	k->fingerprint = now;
	k->container.id = k->id;
	k->container.name = arena_strdup(&k->arena, c->name);
	if (docker_inspect(w->docker, &k->container, &k->arena, err)) {
		/* between the list and now it started or stopped: what was said is not to be kept
		 */
		if (c->running != (k->container.pid != 0))
			k->fingerprint = 0;
		return k;
	}
	known_forget(w, k);
	return NULL;
}

/* The list lacks the endpoints' marks (before API 1.44 in any case): they come from inspect. */
static bool read_marks(struct view *view, struct arena *a, struct world *w, struct error *err)
{
	list_each (c, &view->engine.containers) {
		bool has_static = false;
		struct known *k;

		list_each (e, &c->endpoints)
			has_static |= e->configured.family != 0;
		if (!has_static)
			continue;
		k = know(w, c, err);
		if (!k && err->code != 404)
			return false;
		if (!k)
			continue;
		list_each (e, &c->endpoints) {
			const struct engine_endpoint *inspected =
				engine_find_endpoint(&k->container, e->network);

			e->managed = inspected && inspected->managed;
		}
		(void)a;
	}
	return true;
}

/* --- their namespaces --- */

static bool is_wanted(const struct state *want, const struct engine_container *c)
{
	list_each (space, &want->spaces)
		if (space->container && !strcmp(space->container, c->name))
			return true;
	return false;
}

static bool has_own_namespace(const struct engine_container *c)
{
	const char *mode = c->network_mode ? c->network_mode : "";

	return c->running && strcmp(mode, "host") != 0 && strncmp(mode, "container:", 10) != 0;
}

static bool read_space(struct space *space, struct arena *a, const struct ns *ns, struct error *err)
{
	route_list routes = {0};
	int forward;

	if (!fw_nft_read(&space->ruleset, a, ns, err) || !route_read(&routes, a, ns, err) ||
	    !ns_get_forward(ns, &forward, err) || !read_chains(space, a, ns, err))
		return false;
	list_each (route, &routes)
		*list_add(a, &space->routes) = *route;
	space->forward = forward == 1;
	return true;
}

/* One container that can't be looked into is its own trouble, not the pass's. */
static void observe_container(struct view *view, struct arena *a, struct world *w,
			      const struct engine_container *c)
{
	struct space *space = list_add(a, &view->seen.have.spaces);
	const struct ns **ns = list_add(a, &view->ns);
	struct error err = {0};
	struct known *k = know(w, c, &err);

	space->container = c->name;
	space->container_id = c->id;
	if (k && k->container.pid && !k->open) {
		k->open = ns_open_container(&k->ns, k->container.pid, c->id, &err);
		if (k->open)
			listen_to(w, &k->ns);
		else
			k->fingerprint = 0; /* ask anew: it may be another process by now */
	}
	if (k && k->open) {
		*ns = &k->ns;
		space->pid = k->container.pid;
		space->reachable = read_space(space, a, &k->ns, &err);
	}
	if (!space->reachable && err.text[0] && err.code != 404)
		space->obstacle = arena_strdup(a, err.text);
}

bool observe_containers(struct view *view, struct arena *a, struct world *w,
			const struct state *want, struct error *err)
{
	forget_the_dead(w, &view->engine);
	if (!read_marks(view, a, w, err))
		return false;
	list_each (c, &view->engine.containers)
		if (has_own_namespace(c) && (!w->looked_everywhere || is_wanted(want, c) ||
					     (known_find(w, c->id) && known_find(w, c->id)->open)))
			observe_container(view, a, w, c);
	w->looked_everywhere = true;
	return true;
}

static bool read_leftovers(struct space *have, struct arena *a, const struct ns *ns,
			   const struct flows *flows, struct error *err)
{
	for (enum variant v = VARIANT_NFT; v <= VARIANT_LEGACY; v++) {
		AUTO_BUF struct buf save = {0};

		if (!iptables_save(&save, ns, v, err))
			return false;
		leftovers_find(&have->leftovers, a, v, buf_text(&save), flows);
	}
	return true;
}

bool observe_leftovers(struct view *view, struct arena *a, const struct state *want,
		       struct error *err)
{
	list_each (w, &want->spaces)
		for (uint32_t i = 0; i < view->seen.have.spaces.n; i++) {
			struct space *have = &view->seen.have.spaces.items[i];
			bool same = !w->container ? !have->container
						  : have->container &&
							    !strcmp(w->container, have->container);

			if (same && have->reachable &&
			    !read_leftovers(have, a, view->ns.items[i], w->flows, err))
				return false;
		}
	return true;
}
