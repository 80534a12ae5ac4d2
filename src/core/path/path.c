/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/path/path.h"

#include "base/buf.h"
#include "core/compile/trust.h"

#include <string.h>

const char *const hop_words[] = {
	[HOP_GOES_ON] = "goes on", [HOP_ADMITS] = "admitted", [HOP_TRANSLATES] = "translated",
	[HOP_STOPS] = "dropped",   [HOP_ARRIVES] = "arrives",
};

enum { MAX_WAYS = 8 }; /* more translations in a row count as a loop */

struct walker {
	struct arena *a;
	const struct reach *reach;
	const struct facts *facts;
	const struct observed *seen;
	struct reach_path *path;
	struct reach_flow now;
	int n_ways;
};

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

static const char *interface_name(const struct reach *reach, uint32_t in)
{
	if (in == REACH_IN_LOCAL)
		return "this host itself";
	if (in == REACH_IN_OTHER)
		return "another interface";
	return reach->pool->interfaces.items[in - REACH_N_IN].name;
}

static const char *network_name(const struct walker *w, uint32_t network)
{
	return w->reach->config->networks.items[network].name;
}

/* --- hops --- */

PRINTF_LIKE(6, 7)
static void hop(struct walker *w, enum hop_kind kind, const char *container, const char *stage,
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
}

static void stops(struct walker *w)
{
	w->path->allowed = false;
}

/* What Docker does with packets of one family. */
struct docker_filter {
	bool user;  /* DOCKER-USER is asked first */
	bool drops; /* its isolation and drops stand */
	bool raw;   /* it drops in raw PREROUTING */
};

static bool is_ipv6(const struct walker *w)
{
	return w->now.dst.family == 6;
}

static struct docker_filter docker_filter(const struct walker *w)
{
	const struct facts *f = w->facts;

	if (is_ipv6(w))
		return (struct docker_filter){f->six.docker_user, f->six.docker_drops,
					      f->six.raw_drops};
	return (struct docker_filter){f->docker_user, f->docker_drops, f->raw_drops};
}

/* A chain of iptables, or of ip6tables. */
static const char *iptables_stage(const struct walker *w, const char *stage)
{
	return is_ipv6(w) ? arena_printf(w->a, "ip6 %s", stage) : stage;
}

/* Docker's chains, for this version and variant. */
static const char *docker_stage(const struct walker *w)
{
	if (w->facts->docker_nftables)
		return is_ipv6(w) ? "ip6 docker-bridges" : "ip docker-bridges";
	return iptables_stage(w, "filter FORWARD");
}

/* Docker >= 28 lets a bridge in that it was told to trust when it made the network. */
static bool is_trusted(const struct walker *w, uint32_t network)
{
	const struct engine_network *there =
		w->seen ? engine_find_network(w->seen->engine, network_name(w, network)) : NULL;
	const char *trusted = there ? engine_network_option(there, TRUSTED)
				    : w->reach->trusted[network],
		   *in = w->now.in >= REACH_N_IN ? interface_name(w->reach, w->now.in) : NULL;

	for (size_t len; in && *trusted; trusted += len + (trusted[len] == ':')) {
		len = strcspn(trusted, ":");
		if (len == strlen(in) && !memcmp(trusted, in, len))
			return true;
	}
	return false;
}

static bool drops_in_raw(const struct walker *w)
{
	uint32_t there = reach_network_of(w->reach, w->now.dst);

	if (there != NONE && w->now.in >= REACH_N_IN &&
	    !strcmp(interface_name(w->reach, w->now.in), w->reach->bridges[there]))
		return false; /* it comes by the network's own bridge */
	return docker_filter(w).raw && (there == NONE || !is_trusted(w, there));
}

/*
 * By which interface it comes in. Where the file asks for none, it is the one that the host's
 * routes lead back by: other people's rules may ask for it.
 */
static const char *entrance(const struct walker *w)
{
	const struct host_prefix *best = NULL;

	if (w->now.in != REACH_IN_OTHER)
		return interface_name(w->reach, w->now.in);
	list_each (p, &w->seen->host_prefixes)
		if (!p->dead && prefix_contains(p->prefix, w->now.src) &&
		    (!best || p->prefix.len > best->prefix.len))
			best = p;
	if (best)
		return best->device;
	if (w->seen->default_device && w->now.src.family == 4)
		return w->seen->default_device;
	return interface_name(w->reach, REACH_IN_OTHER);
}

/* By a bridge of another network, which the engine may know alone. */
static bool comes_by_bridge(const struct walker *w)
{
	const char *in = w->seen ? entrance(w) : "";

	if (reach_network_of(w->reach, w->now.src) != NONE)
		return true;
	if (w->seen)
		list_each (network, &w->seen->engine->networks)
			if (network->bridge && !strcmp(network->bridge, in))
				return !network->internal;
	return false;
}

/* Internal networks have other drops of Docker's before these. */
static bool is_internal(const struct walker *w, uint32_t network)
{
	return network != NONE && w->reach->config->networks.items[network].internal;
}

/* Where Docker drops what one bridge sends to another. */
static const char *stage_between(const struct walker *w)
{
	uint32_t from = reach_network_of(w->reach, w->now.src),
		 to = reach_network_of(w->reach, w->now.dst);

	if (w->facts->docker_nftables || to == NONE || from == to || !comes_by_bridge(w) ||
	    is_internal(w, from) || is_internal(w, to))
		return docker_stage(w);
	return iptables_stage(w, "filter DOCKER-ISOLATION-STAGE-2");
}

static void dropped_by_docker(struct walker *w)
{
	bool drops = docker_filter(w).drops;

	if (!drops && reach_network_of(w->reach, w->now.dst) == NONE)
		hop(w, HOP_STOPS, NULL, "forward", NONE, "nothing lets it through");
	else if (!drops)
		hop(w, HOP_STOPS, NULL, "inet harborwall forward", NONE,
		    "nobody else closes network %s: harborwall drops it",
		    network_name(w, reach_network_of(w->reach, w->now.dst)));
	else if (drops_in_raw(w))
		hop(w, HOP_STOPS, NULL, iptables_stage(w, "raw PREROUTING"), NONE,
		    "Docker drops what comes to %s by another interface than its own bridge",
		    ip_format(w->now.dst).s);
	else
		hop(w, HOP_STOPS, NULL, stage_between(w), NONE,
		    "Docker drops what comes from another network or from outside");
	stops(w);
}

/* Our accept in Docker's chains; for flows from outside it follows other people's rules. */
static void handed_over(struct walker *w)
{
	const struct facts *f = w->facts;
	struct docker_filter filter = docker_filter(w);
	bool split = filter.user && !f->handoff_top;
	bool between = reach_network_of(w->reach, w->now.src) != NONE &&
		       reach_network_of(w->reach, w->now.dst) != NONE;

	if (f->docker_nftables)
		hop(w, HOP_GOES_ON, NULL, docker_stage(w), NONE, "Docker accepts the mark 0x%x",
		    f->mark_accept);
	else if (filter.drops)
		hop(w, HOP_GOES_ON, NULL,
		    iptables_stage(w, filter.user ? "filter DOCKER-USER" : "filter FORWARD"), NONE,
		    "accepts the mark 0x%x%s",
		    split && between ? facts_hooks(f).between : f->mark_accept,
		    split && !between ? ", behind foreign rules" : "");
}

/* Rules of others that our accept does not override. False: the flow ends there. */
static bool past_walls(struct walker *w, bool dnat)
{
	uint32_t there = reach_network_of(w->reach, w->now.dst);
	struct packet first = {.src = prefix_of(w->now.src),
			       .dst = prefix_of(w->now.dst),
			       .proto = w->now.proto,
			       .dports = {w->now.port, w->now.port},
			       .dnat = dnat};
	const char *text;

	if (!w->seen || there == NONE || w->now.in < REACH_IN_OTHER)
		return true;
	first.in = entrance(w);
	first.out = w->reach->bridges[there];
	text = walls_stop(w->a, w->reach->config, w->seen, &first);
	if (!text)
		return true;
	hop(w, HOP_STOPS, NULL, "forward", NONE, "%s", text);
	stops(w);
	return false;
}

static void arrive(struct walker *w);

static void to_container(struct walker *w)
{
	if (w->n_ways++ == MAX_WAYS) {
		hop(w, HOP_STOPS, NULL, "forward", NONE, "translations form a loop");
		stops(w);
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
	hop(w, HOP_GOES_ON, NULL, "inet harborwall postrouting", NONE,
	    "the source address stays %s", ip_format(w->now.src).s);
	to_container(w);
}

/* Where policies are looked up first: before Docker's raw drops, if there are any. */
static const char *our_first_stage(const struct walker *w)
{
	return docker_filter(w).raw ? "inet harborwall raw" : "inet harborwall forward";
}

static bool is_borrowed(struct walker *w)
{
	uint32_t home = reach_network_of(w->reach, w->now.src);

	if (reach_ask(w->reach, w->reach->genuine, &w->now))
		return false;
	if (home != NONE)
		hop(w, HOP_GOES_ON, NULL, our_first_stage(w), NONE,
		    "%s belongs to network %s and comes in by %s: no policy counts",
		    ip_format(w->now.src).s, network_name(w, home),
		    interface_name(w->reach, w->now.in));
	else
		hop(w, HOP_GOES_ON, NULL, our_first_stage(w), NONE,
		    "%s is not at home on %s: no policy counts", ip_format(w->now.src).s,
		    interface_name(w->reach, w->now.in));
	return true;
}

/* False: it comes from a network with egress deny, and no policy is about it. */
static bool begins_freely(struct walker *w, bool to_host)
{
	uint32_t from = reach_network_of(w->reach, w->now.src);

	if (!reach_is_denied(w->reach, w->now.in))
		return true;
	if (!is_borrowed(w) && !to_host)
		hop(w, HOP_GOES_ON, NULL, our_first_stage(w), NONE, "no policy admits it");
	hop(w, HOP_STOPS, NULL, to_host ? "inet harborwall input" : "inet harborwall forward", NONE,
	    "egress of network %s is denied",
	    from == NONE ? interface_name(w->reach, w->now.in) : network_name(w, from));
	stops(w);
	return false;
}

/* Behind everybody's filters: what is stopped anyway is not said. */
static void note_audit(struct walker *w, const char *stage)
{
	uint32_t from = reach_network_of(w->reach, w->now.src);

	if (reach_would_be_denied(w->reach, &w->now))
		hop(w, HOP_GOES_ON, NULL, stage, NONE,
		    "egress of network %s is audited: with deny this would be refused",
		    from == NONE ? interface_name(w->reach, w->now.in) : network_name(w, from));
}

/* consequence: what strict would mean for it. */
static void note_isolation(struct walker *w, const char *stage, const char *consequence)
{
	uint32_t there = reach_network_of(w->reach, w->now.dst);

	if (w->reach->config->networks.items[there].isolation == ISOLATION_AUDIT)
		hop(w, HOP_GOES_ON, NULL, stage, NONE,
		    "isolation of network %s is audited: with strict %s", network_name(w, there),
		    consequence);
}

static bool is_strict(const struct walker *w, uint32_t network)
{
	return network != NONE &&
	       w->reach->config->networks.items[network].isolation == ISOLATION_STRICT;
}

static void stays_out(struct walker *w, const char *stage)
{
	uint32_t there = reach_network_of(w->reach, w->now.dst);

	hop(w, HOP_STOPS, NULL, stage, NONE, "network %s is strict%s", network_name(w, there),
	    w->now.in == REACH_IN_LOCAL ? ", and closed to this host"
	    : config_address_of(w->reach->config, w->now.dst) == NONE
		    ? ", and the file has no container with this address"
		    : "");
	stops(w);
}

static void closed(struct walker *w)
{
	uint32_t from = reach_network_of(w->reach, w->now.src),
		 there = reach_network_of(w->reach, w->now.dst);

	if (is_strict(w, there) && w->now.in == REACH_IN_LOCAL) {
		stays_out(w, "inet harborwall output");
		return;
	}

	/* Docker's raw drops come first */
	if ((!drops_in_raw(w) || reach_network_of(w->reach, w->now.dst) == NONE) &&
	    !begins_freely(w, false))
		return;
	if (from != NONE && reach_network_of(w->reach, w->now.dst) == NONE) {
		hop(w, HOP_STOPS, NULL,
		    docker_filter(w).drops ? docker_stage(w) : "inet harborwall forward", NONE,
		    "network %s is internal: nothing gets out", network_name(w, from));
		stops(w);
		return;
	}
	if (!is_borrowed(w))
		hop(w, HOP_GOES_ON, NULL, our_first_stage(w), NONE, "no policy admits it");
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
	return t->own == (flow->in == REACH_IN_LOCAL) &&
	       match_holds(t->match, flow->proto, flow->port) &&
	       (!flow->src.family || t->to.family == flow->src.family) &&
	       share_has(t->share, flow->src);
}

static const struct translation *translation_of(const struct reach_space *space,
						const struct reach_flow *flow, uint32_t leaf)
{
	list_each (t, &space->flows->translations)
		if (t->origin == leaf - REACH_POLICY && is_for(t, flow))
			return t;
	list_each (t, &space->flows->own)
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
		hop(w, HOP_ARRIVES, NULL, "input", NONE,
		    "this host itself: its own firewall decides, no policy does");
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
	hop(w, HOP_GOES_ON, NULL, "inet harborwall postrouting", NONE, "%s",
	    is_masqueraded(host->flows, t, w->now.src) ? "masqueraded: it comes from this host"
						       : "the source address stays");
	to_container(w);
}

static void forward(struct walker *w);

/* A container sends what it translates and masquerades through the target's network. */
static void leave(struct walker *w, const char *container)
{
	const struct config *config = w->reach->config;
	uint32_t there = reach_network_of(w->reach, w->now.dst), best = NONE;

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

static const struct reach_space *space_of(const struct reach *reach, const char *container)
{
	list_each (space, &reach->spaces)
		if (container && space->container && !strcmp(space->container, container))
			return space;
	return NULL;
}

static void arrive(struct walker *w)
{
	const char *container = config_container_at(w->reach->config, w->now.dst), *condition = "";
	const struct reach_space *space = space_of(w->reach, container);
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
	hop(w, HOP_ARRIVES, NULL, "postrouting", NONE, "leaves for %s", ip_format(w->now.dst).s);
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
	if (leaf >= REACH_POLICY && reach_network_of(w->reach, w->now.dst) == NONE) {
		lifted(w, leaf - REACH_POLICY);
		return;
	}
	if (leaf >= REACH_POLICY && w->now.in == REACH_IN_LOCAL) {
		begun_here(w, leaf - REACH_POLICY);
		return;
	}
	if (leaf >= REACH_POLICY) {
		admitted(w, leaf - REACH_POLICY);
		return;
	}
	switch ((enum reach_leaf)leaf) {
	case REACH_TO_HOST:
		to_host(w);
		break;
	case REACH_WITHIN:
		hop(w, HOP_GOES_ON, NULL, "bridge", NONE,
		    "stays on %s of network %s, which passes no filter",
		    interface_name(w->reach, w->now.in),
		    network_name(w, reach_network_of(w->reach, w->now.dst)));
		note_isolation(w, "bridge", "a policy would have to let it in");
		to_container(w);
		break;
	case REACH_FROM_HOST:
		hop(w, HOP_GOES_ON, NULL, "output", NONE,
		    "the host's own connection: no policy decides");
		if (!w->reach->config->networks.items[reach_network_of(w->reach, w->now.dst)].host)
			note_isolation(w, "inet harborwall watch_output", "this would be refused");
		to_container(w);
		break;
	case REACH_EGRESS:
		hop(w, HOP_GOES_ON, NULL, docker_stage(w), NONE,
		    "what network %s begins towards the outside: no policy decides",
		    network_name(w, reach_network_of(w->reach, w->now.src)));
		note_audit(w, "inet harborwall audit");
		hop(w, HOP_ARRIVES, NULL, "postrouting", NONE, "leaves for %s",
		    ip_format(w->now.dst).s);
		break;
	case REACH_ELSEWHERE:
		hop(w, HOP_ARRIVES, NULL, "forward", NONE,
		    "neither end is in a network of the file: no policy decides");
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
