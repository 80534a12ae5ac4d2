/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What compile() must know of the host: whose rules stand, and what they do with ours. */
#include "app/observe/facts.h"

#include "core/plan/choose.h"
#include "edge/firewall/handoff.h"
#include "edge/host/file.h"
#include "edge/netlink/route.h"

#include <string.h>

enum { MAX_SWITCH = 16 };

/* --- Docker's drops --- */

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

/* --- all of them --- */

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

/* What stands in the filter that Docker writes. */
static void take_filter(struct facts *f, struct arena *a, const struct filter_view *filter,
			const struct engine *engine)
{
	f->docker_user = filter->docker_user && filter->user_first;
	f->docker_user_late = filter->docker_user && !f->docker_user;
	f->open_why = handoff_view_opens(filter, engine, a);
	f->docker_drops = !f->open_why;
	f->raw_drops = filter->raw_drops;
	f->user_end = filter->user_end;
	f->raw_end = filter->raw_end;
	f->n_foreign = filter->n_foreign;
	f->no_filter = f->raw_drops && !filter->exists;
	f->forward_drop = filter->forward_drop;
}

/* Options, and what this program remembers. */
static void take_known(struct facts *f, const struct world *w)
{
	f->mark_accept = w->options->mark_accept;
	f->mark_raw = w->options->mark_raw;
	f->handoff_top = w->options->handoff_top;
	f->counters = w->options->counters;
	f->were_containers = &w->saved.containers;
	f->bridges_were = &w->saved.bridges;
	f->forgotten = w->saved.trouble;
	f->no_nf_tables = w->no_nf_tables;
}

bool observe_facts(struct view *view, struct arena *a, struct world *w, struct error *err)
{
	struct filter_view views[VARIANT_LEGACY + 1] = {0}, views6[VARIANT_LEGACY + 1] = {0};
	struct facts *f = &view->facts;
	struct space *host = &view->seen.have.spaces.items[0];

	world_note_legacy(w);
	take_known(f, w);
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
	f->variant = choose_variant(f->docker_nftables, views);
	if (!choose_backend(f, w->closing ? NULL : w->options->backend, err))
		return false;
	w->legacy6_stands = views6[VARIANT_LEGACY].exists;
	world_watch_legacy(w, f->variant == VARIANT_LEGACY && views[VARIANT_LEGACY].exists);
	take_filter(f, a, &views[f->variant], &view->engine);
	f->mixed = views[VARIANT_NFT].docker_isolation && views[VARIANT_LEGACY].docker_isolation;
	if (f->docker_nftables)
		take_bridges(view, a, w);
	judge_ipv6(f, a, w, &view->engine, views6);
	judge_loss(f, w);
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
