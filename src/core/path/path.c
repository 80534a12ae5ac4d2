/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/path/impl.h"

#include <string.h>

const char *const hop_words[] = {
	[HOP_GOES_ON] = "goes on", [HOP_ADMITS] = "admitted", [HOP_TRANSLATES] = "translated",
	[HOP_STOPS] = "dropped",   [HOP_ARRIVES] = "arrives",
};

enum { MAX_WAYS = 8 }; /* more translations in a row count as a loop */

/* --- names --- */

const char *reach_name(struct arena *a, const struct reach *reach, struct ip ip)
{
	const char *container;

	if (!ip.family)
		return "this host";
	container = config_container_at(reach->config, ip);
	return container ? arena_printf(a, "%s (%s)", container, ip_format(ip).s)
			 : arena_strdup(a, ip_format(ip).s);
}

const char *reach_sender(struct arena *a, const struct reach *reach, const struct reach_flow *flow)
{
	const struct ip host = {0};

	return reach_name(a, reach, flow->in == REACH_IN_LOCAL ? host : flow->src);
}

const char *interface_name(const struct walker *w)
{
	if (w->now.in == REACH_IN_LOCAL)
		return "this host itself";
	if (w->now.in == REACH_IN_OTHER)
		return "another interface";
	return w->reach->pool->interfaces.items[w->now.in - REACH_N_IN].name;
}

const char *network_name(const struct walker *w, uint32_t network)
{
	return w->reach->config->networks.items[network].name;
}

/* --- hops --- */

void hop(struct walker *w, enum hop_kind kind, const char *container, const char *stage,
	 uint32_t policy, const char *format, ...)
{
	struct hop *hop = list_add(w->a, &w->path->hops);
	va_list args;

	*hop = (struct hop){.kind = kind, .container = container, .stage = stage, .policy = policy};
	va_start(args, format);
	hop->text = arena_vprintf(w->a, format, args);
	va_end(args);
	if (kind == HOP_ADMITS)
		w->path->policy = policy;
	if (kind == HOP_STOPS)
		w->path->allowed = false;
}

static void arrive(struct walker *w);

static void to_container(struct walker *w)
{
	if (w->n_ways++ == MAX_WAYS) {
		stops(w, "forward", "translations form a loop");
		return;
	}
	arrive(w);
}

static void admitted(struct walker *w, uint32_t policy)
{
	if (drops_in_raw(w))
		hop(w, HOP_GOES_ON, NULL, iptables_stage(w, "raw PREROUTING"), policy,
		    "the mark 0x%x lifts Docker's drop", w->facts->mark_raw);
	hop(w, HOP_ADMITS, NULL, "inet harborwall forward", policy, "%s reaches %s",
	    reach_name(w->a, w->reach, w->now.src), reach_name(w->a, w->reach, w->now.dst));
	if (!past_walls(w, false))
		return;
	handed_over(w);
	goes_on(w, "inet harborwall postrouting", "the source address stays %s",
		ip_format(w->now.src).s);
	to_container(w);
}

/* Where policies are looked up first: before Docker's raw drops, if there are any. */
static const char *our_first_stage(const struct walker *w)
{
	return docker_filter(w).raw ? "inet harborwall raw" : "inet harborwall forward";
}

static bool is_borrowed(struct walker *w)
{
	uint32_t home = network_from(w);

	if (reach_ask(w->reach, w->reach->genuine, &w->now))
		return false;
	if (home != NONE)
		goes_on(w, our_first_stage(w),
			"%s belongs to network %s and comes in by %s: no policy counts",
			ip_format(w->now.src).s, network_name(w, home), interface_name(w));
	else
		goes_on(w, our_first_stage(w), "%s is not at home on %s: no policy counts",
			ip_format(w->now.src).s, interface_name(w));
	return true;
}

/* False: it comes from a network with egress deny, and no policy is about it. */
static bool begins_freely(struct walker *w, bool to_host)
{
	uint32_t from = network_from(w);

	if (!reach_is_denied(w->reach, w->now.in))
		return true;
	if (!is_borrowed(w) && !to_host)
		goes_on(w, our_first_stage(w), "no policy admits it");
	stops(w, to_host ? "inet harborwall input" : "inet harborwall forward",
	      "egress of network %s is denied",
	      from == NONE ? interface_name(w) : network_name(w, from));
	return false;
}

/* Behind everybody's filters: what is stopped anyway is not said. */
static void note_audit(struct walker *w, const char *stage)
{
	uint32_t from = network_from(w);

	if (reach_would_be_denied(w->reach, &w->now))
		goes_on(w, stage,
			"egress of network %s is audited: with deny this would be refused",
			from == NONE ? interface_name(w) : network_name(w, from));
}

/* consequence: what strict would mean for it. */
static void note_isolation(struct walker *w, const char *stage, const char *consequence)
{
	uint32_t there = network_to(w);

	if (w->reach->config->networks.items[there].isolation == ISOLATION_AUDIT)
		goes_on(w, stage, "isolation of network %s is audited: with strict %s",
			network_name(w, there), consequence);
}

static bool is_strict(const struct walker *w, uint32_t network)
{
	return network != NONE &&
	       w->reach->config->networks.items[network].isolation == ISOLATION_STRICT;
}

static void stays_out(struct walker *w, const char *stage)
{
	uint32_t there = network_to(w);

	stops(w, stage, "network %s is strict%s", network_name(w, there),
	      w->now.in == REACH_IN_LOCAL ? ", and closed to this host"
	      : config_address_of(w->reach->config, w->now.dst) == NONE
		      ? ", and the file has no container with this address"
		      : "");
}

static void closed(struct walker *w)
{
	uint32_t from = network_from(w), there = network_to(w);

	if (is_strict(w, there) && w->now.in == REACH_IN_LOCAL) {
		stays_out(w, "inet harborwall output");
		return;
	}
	/* Docker's raw drops come first */
	if ((!drops_in_raw(w) || there == NONE) && !begins_freely(w, false))
		return;
	if (from != NONE && there == NONE) {
		stops(w, docker_filter(w).drops ? docker_stage(w) : "inet harborwall forward",
		      "network %s is internal: nothing gets out", network_name(w, from));
		return;
	}
	if (!is_borrowed(w))
		goes_on(w, our_first_stage(w), "no policy admits it");
	if (is_strict(w, there) && !drops_in_raw(w))
		stays_out(w, "inet harborwall forward");
	else
		dropped_by_docker(w);
}

/* --- translations --- */

/*
 * A policy may translate in both families, each of them in its own, spread its clients, and have a
 * port at the target for each of its own.
 */
static bool is_for(const struct translation *t, const struct reach_flow *flow)
{
	return match_holds(t->match, flow->proto, flow->port) &&
	       (!flow->src.family || t->to.family == flow->src.family) &&
	       share_has(t->share, flow->src);
}

static const struct translation *translation_of(const struct reach_space *space,
						const struct reach_flow *flow, uint32_t leaf)
{
	const translation_list *list =
		flow->in == REACH_IN_LOCAL ? &space->flows->own : &space->flows->translations;

	list_each (t, list)
		if (t->origin == leaf - REACH_POLICY && is_for(t, flow))
			return t;
	return NULL;
}

static void translate(struct walker *w, const struct translation *t, const char *container,
		      const char *condition)
{
	w->now.dst = t->to;
	w->now.port = t->to_port ? t->to_port : w->now.port;
	hop(w, HOP_TRANSLATES, container,
	    t->own ? "inet harborwall output" : "inet harborwall prerouting", t->origin,
	    "to %s%s%s%s", reach_name(w->a, w->reach, t->to),
	    protocol_has_ports(w->now.proto) ? arena_printf(w->a, " port %u", w->now.port) : "",
	    t->share.of ? arena_printf(w->a, ", one of %u by its source", t->share.of) : "",
	    condition);
}

/* Or it goes back to its own network. */
static bool is_masqueraded(const struct flows *flows, const struct translation *t, struct ip src)
{
	const struct prefix *home = t->keeps ? NULL : flows_hairpin_of(flows, t);

	return t->masquerade || (home && prefix_contains(*home, src));
}

/*
 * To the host's own addresses: either a translation matches, or the host itself is the destination.
 */
static void to_host(struct walker *w)
{
	const struct reach_space *host = &w->reach->spaces.items[0];
	struct reach_flow flow = w->now;
	const struct translation *t;
	uint32_t leaf;

	if (flow.in == REACH_IN_LOCAL && !flow.src.family)
		flow.src = flow.dst; /* it asks from the address that it asks */
	flow.dst = (struct ip){0};
	leaf = reach_ask(w->reach, host->doors, &flow);
	t = leaf ? translation_of(host, &flow, leaf) : NULL;
	if (!t && reach_is_denied(w->reach, flow.in)) {
		leaf = reach_ask(w->reach, w->reach->governed, &flow);
		if (leaf < REACH_POLICY) {
			begins_freely(w, true);
			return;
		}
		hop(w, HOP_GOES_ON, NULL, "inet harborwall input", leaf - REACH_POLICY,
		    "egress is denied, but for this");
	}
	if (!t) {
		note_audit(w, "inet harborwall audit_host");
		arrives(w, "input", "this host itself: its own firewall decides, no policy does");
		return;
	}
	translate(w, t, NULL, "");
	if (!t->own) {
		hop(w, HOP_ADMITS, NULL, "inet harborwall forward", t->origin,
		    "what it translated may pass");
		if (!past_walls(w, true))
			return;
		handed_over(w);
	}
	w->path->policy = t->origin;
	goes_on(w, "inet harborwall postrouting", "%s",
		is_masqueraded(host->flows, t, w->now.src) ? "masqueraded: it comes from this host"
							   : "the source address stays");
	to_container(w);
}

static void forward(struct walker *w);

/* A container sends what it translates and masquerades through the target's network. */
static void leave(struct walker *w, const char *container)
{
	const struct config *config = w->reach->config;
	uint32_t there = network_to(w), best = NONE;

	list_each (address, &config->addresses) {
		const char *name = config_name(config, address_container(address));

		if (!name || strcmp(name, container) != 0 ||
		    address->ip.family != w->now.dst.family ||
		    reach_network_of(w->reach, address->ip) == NONE)
			continue;
		if (best == NONE || address->network == there)
			best = (uint32_t)(address - config->addresses.items);
	}
	if (best == NONE)
		return;
	w->now.src = config->addresses.items[best].ip;
	w->now.in = reach_interface(w->reach->pool,
				    w->reach->bridges[config->addresses.items[best].network]);
}

/* The incoming interface there is unknown; NULL: nothing is translated. */
static const struct translation *
container_door(const struct walker *w, const struct reach_space *space, const char **condition)
{
	struct reach_flow flow = w->now;

	*condition = "";
	flow.dst = (struct ip){0};
	list_each (t, &space->flows->translations) {
		uint32_t leaf;

		flow.in = t->iface ? reach_interface(w->reach->pool, t->iface) : REACH_IN_OTHER;
		leaf = reach_ask(w->reach, space->doors, &flow);
		if (leaf != REACH_POLICY + t->origin || !is_for(t, &flow))
			continue;
		if (t->iface)
			*condition = arena_printf(w->a, ", if it comes in by %s there", t->iface);
		return t;
	}
	return NULL;
}

static void arrive(struct walker *w)
{
	const char *container = config_container_at(w->reach->config, w->now.dst), *condition = "";
	const struct reach_space *space = container ? reach_find_space(w->reach, container) : NULL;
	const struct translation *t = space ? container_door(w, space, &condition) : NULL;

	if (!t) {
		hop(w, HOP_ARRIVES, container, "input", NONE, "at %s",
		    reach_name(w->a, w->reach, w->now.dst));
		return;
	}
	translate(w, t, container, condition);
	if (t->masquerade) {
		leave(w, container);
		hop(w, HOP_GOES_ON, container, "inet harborwall postrouting", t->origin,
		    "masqueraded: it comes from %s", reach_name(w->a, w->reach, w->now.src));
	}
	forward(w);
}

/* --- the host --- */

/* To an address of no network of the file, out of one with egress deny. */
static void lifted(struct walker *w, uint32_t policy)
{
	hop(w, HOP_ADMITS, NULL, "inet harborwall forward", policy,
	    "egress is denied, but for this");
	arrives(w, "postrouting", "leaves for %s", ip_format(w->now.dst).s);
}

/* Into a strict network that is closed to this host, but for this. */
static void begun_here(struct walker *w, uint32_t policy)
{
	hop(w, HOP_ADMITS, NULL, "inet harborwall output", policy, "this host reaches %s",
	    reach_name(w->a, w->reach, w->now.dst));
	to_container(w);
}

static void forward(struct walker *w)
{
	uint32_t leaf = reach_ask(w->reach, w->reach->open, &w->now);

	if (reach_is_denied(w->reach, w->now.in) && reach_is_hosts(w->reach, w->now.dst)) {
		to_host(w);
		return;
	}
	if (leaf >= REACH_POLICY) {
		(network_to(w) == NONE	       ? lifted
		 : w->now.in == REACH_IN_LOCAL ? begun_here
					       : admitted)(w, leaf - REACH_POLICY);
		return;
	}
	switch ((enum reach_leaf)leaf) {
	case REACH_TO_HOST:
		to_host(w);
		break;
	case REACH_WITHIN:
		goes_on(w, "bridge", "stays on %s of network %s, which passes no filter",
			interface_name(w), network_name(w, network_to(w)));
		note_isolation(w, "bridge", "a policy would have to let it in");
		to_container(w);
		break;
	case REACH_FROM_HOST:
		goes_on(w, "output", "the host's own connection: no policy decides");
		if (!w->reach->config->networks.items[network_to(w)].host)
			note_isolation(w, "inet harborwall watch_output", "this would be refused");
		to_container(w);
		break;
	case REACH_EGRESS:
		goes_on(w, docker_stage(w),
			"what network %s begins towards the outside: no policy decides",
			network_name(w, network_from(w)));
		note_audit(w, "inet harborwall audit");
		arrives(w, "postrouting", "leaves for %s", ip_format(w->now.dst).s);
		break;
	case REACH_ELSEWHERE:
		arrives(w, "forward", "neither end is in a network of the file: no policy decides");
		break;
	case REACH_CLOSED:
	case REACH_POLICY:
		closed(w);
		break;
	}
}

void reach_walk(struct reach_path *path, struct arena *a, const struct reach *reach,
		const struct facts *facts, const struct observed *seen,
		const struct reach_flow *flow)
{
	struct walker w = {a, reach, facts, seen, path, *flow, 0};

	*path = (struct reach_path){.allowed = true, .policy = NONE};
	if (flow->dst.family)
		forward(&w);
	else
		to_host(&w);
	path->last = w.now;
}
