/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/reach.h"

#include "core/compile/trust.h"
#include "core/flowset/sets.h"

#include <string.h>

struct building {
	struct reach_pool *pool;
	const struct reach *reach;
	const struct flows *host;
	struct flow_sets sets;
	uint32_t only; /* of this policy alone; NONE: of all */
	/* of each translation, then of those of what the host begins, instead of its policy; or
	 * NULL */
	const uint32_t *leads;
};

static bool is_asked(const struct building *b, uint32_t origin)
{
	return b->only == NONE || b->only == origin;
}

static struct diagram build(struct building *b)
{
	return flow_sets_build(&b->sets, b->pool->diagrams);
}

void add_subnets(range_list *ranges, struct arena *a, const struct network *network)
{
	for (enum family f = 0; f < N_FAMILIES; f++)
		if (network->ipam[f].subnet.ip.family)
			*list_add(a, ranges) = flow_range_of_prefix(network->ipam[f].subnet);
}

range_list reach_subnets(const struct reach *reach, struct arena *a)
{
	range_list subnets = {0};

	for (uint32_t i = 0; i < reach->config->networks.n; i++)
		if (reach->bridges[i])
			add_subnets(&subnets, a, &reach->config->networks.items[i]);
	return subnets;
}

static struct diagram combine(const struct building *b, struct diagram x, struct diagram y,
			      enum diagram_op op)
{
	return diagram_combine(b->pool->diagrams, x, y, op);
}

static void add_value(struct building *b, range_list *ranges, uint32_t value)
{
	*list_add(b->pool->a, ranges) = (struct flow_range){value, value};
}

/* --- where sources are at home --- */

static void add_genuine(struct building *b, range_list *bridges, const struct bound_subnet *home)
{
	uint32_t in = reach_add_interface(b->pool, home->bridge);
	struct flow_set *set;

	add_value(b, bridges, in);
	if (!home->subnet.ip.family)
		return;
	set = flow_sets_add(&b->sets, 1);
	limit_to_prefix(&b->sets, set, FLOW_SRC, home->subnet);
	limit_to_value(&b->sets, set, FLOW_IN, in);
}

/*
 * An address of an engine's network is genuine on its bridge; any other address on every interface
 * that is no bridge of the engine's.
 */
static struct diagram build_genuine(struct building *b)
{
	range_list subnets = {0}, bridges = {0}, sources, uplinks;
	struct flow_set *set;

	list_each (bound, &b->host->bound) {
		add_genuine(b, &bridges, bound);
		*list_add(b->pool->a, &subnets) = flow_range_of_prefix(bound->subnet);
	}
	list_each (home, &b->host->homes)
		add_genuine(b, &bridges, home);
	add_value(b, &bridges, REACH_IN_LOCAL);
	sources = ranges_outside(b->pool->a, &subnets, FLOW_SRC);
	uplinks = ranges_outside(b->pool->a, &bridges, FLOW_IN);
	set = flow_sets_add(&b->sets, 1);
	limit_to_ranges(set, FLOW_SRC, &sources);
	limit_to_ranges(set, FLOW_IN, &uplinks);
	return build(b);
}

/* --- what no policy decides --- */

/* The host's addresses, as far as the file implies them. */
static range_list host_addresses(struct building *b)
{
	range_list ranges = {0};

	add_value(b, &ranges, REACH_SELF);
	for (uint32_t i = 0; i < b->reach->config->networks.n; i++) {
		const struct network *network = &b->reach->config->networks.items[i];

		for (enum family f = 0; b->host->bridges[i] && f < N_FAMILIES; f++)
			if (network->ipam[f].gateway.family)
				*list_add(b->pool->a, &ranges) =
					flow_range_of_prefix(prefix_of(network->ipam[f].gateway));
	}
	return ranges;
}

/* What networks with egress deny ask this host for. */
static struct diagram denied_to_host(struct building *b)
{
	range_list self = host_addresses(b), denied = {0};
	struct flow_set *set;

	list_each (d, &b->host->denied)
		add_value(b, &denied, reach_add_interface(b->pool, d->bridge));
	if (denied.n) {
		set = flow_sets_add(&b->sets, 1);
		limit_to_ranges(set, FLOW_DST, &self);
		limit_to_ranges(set, FLOW_IN, &denied);
	}
	return build(b);
}

static void add_subnet(struct building *b, uint32_t i, struct prefix subnet,
		       const range_list *beyond)
{
	const struct network *network = &b->reach->config->networks.items[i];
	uint32_t in = reach_add_interface(b->pool, b->host->bridges[i]);
	struct flow_set *set;

	if (!b->host->apart[i]) {
		set = flow_sets_add(&b->sets, REACH_WITHIN);
		limit_to_prefix(&b->sets, set, FLOW_SRC, subnet);
		limit_to_prefix(&b->sets, set, FLOW_DST, subnet);
		limit_to_value(&b->sets, set, FLOW_IN, in);
	}
	if (!network_is_closed_to_host(network)) {
		set = flow_sets_add(&b->sets, REACH_FROM_HOST);
		limit_to_prefix(&b->sets, set, FLOW_DST, subnet);
		limit_to_value(&b->sets, set, FLOW_IN, REACH_IN_LOCAL);
	}
	if (network->internal || network->egress == EGRESS_DENY)
		return;
	set = flow_sets_add(&b->sets, REACH_EGRESS);
	limit_to_prefix(&b->sets, set, FLOW_SRC, subnet);
	limit_to_ranges(set, FLOW_DST, beyond);
	limit_to_value(&b->sets, set, FLOW_IN, in);
}

static void add_network(struct building *b, uint32_t i, const range_list *beyond)
{
	const struct network *network = &b->reach->config->networks.items[i];

	for (enum family f = 0; f < N_FAMILIES; f++)
		if (network->ipam[f].subnet.ip.family)
			add_subnet(b, i, network->ipam[f].subnet, beyond);
}

static struct diagram build_free(struct building *b)
{
	const struct config *config = b->reach->config;
	range_list self = host_addresses(b), bridges = {0}, beyond, uplinks;
	range_list subnets = reach_subnets(b->reach, b->pool->a);
	struct diagram denied = denied_to_host(b);

	limit_to_ranges(flow_sets_add(&b->sets, REACH_TO_HOST), FLOW_DST, &self);
	for (uint32_t i = 0; i < config->networks.n; i++)
		if (b->host->bridges[i])
			add_value(b, &bridges, reach_add_interface(b->pool, b->host->bridges[i]));
	beyond = ranges_outside(b->pool->a, &subnets, FLOW_DST);
	uplinks = ranges_outside(b->pool->a, &bridges, FLOW_IN);
	for (uint32_t i = 0; i < config->networks.n; i++)
		if (b->host->bridges[i])
			add_network(b, i, &beyond);
	if (beyond.n && uplinks.n) {
		struct flow_set *set = flow_sets_add(&b->sets, REACH_ELSEWHERE);

		limit_to_ranges(set, FLOW_DST, &beyond);
		limit_to_ranges(set, FLOW_IN, &uplinks);
	}
	return combine(b, build(b), denied, DIAGRAM_MINUS);
}

/* --- what policies decide --- */

static struct diagram build_grants(struct building *b)
{
	list_each (grant, &b->host->grants)
		for (uint32_t m = 0; m < grant->n_matches; m++) {
			struct flow_set *set;

			if (!grant->from->n || !grant->to->n || !is_asked(b, grant->origin))
				break;
			set = flow_sets_add(&b->sets, REACH_POLICY + grant->origin);
			limit_to_peers(&b->sets, set, FLOW_SRC, grant->from);
			limit_to_peers(&b->sets, set, FLOW_DST, grant->to);
			if (grant->iface)
				limit_to_value(&b->sets, set, FLOW_IN,
					       reach_add_interface(b->pool, grant->iface));
			limit_to_traffic(&b->sets, set, grant->matches[m]);
		}
	return build(b);
}

/* What the host itself is asked for, no policy of the forward path admits. */
static struct diagram not_to_host(struct building *b, struct diagram grants)
{
	range_list self;

	if (!b->host->denied.n)
		return grants;
	self = host_addresses(b);
	limit_to_ranges(flow_sets_add(&b->sets, 1), FLOW_DST, &self);
	return combine(b, grants, build(b), DIAGRAM_MINUS);
}

/* Of one policy, by the bridges of these networks. */
static void add_lift(struct building *b, const struct grant *grant, const range_list *bridges,
		     const range_list *beyond)
{
	for (uint32_t m = 0; bridges->n && is_asked(b, grant->origin) && m < grant->n_matches;
	     m++) {
		struct flow_set *set = flow_sets_add(&b->sets, REACH_POLICY + grant->origin);

		limit_to_peers(&b->sets, set, FLOW_SRC, grant->from);
		limit_to_ranges(set, FLOW_IN, bridges);
		if (grant->to)
			limit_to_peers(&b->sets, set, FLOW_DST, grant->to);
		else
			limit_to_ranges(set, FLOW_DST, beyond);
		limit_to_traffic(&b->sets, set, grant->matches[m]);
	}
}

/* What leaves networks with egress deny, or audit, for the outside and for this host. */
static struct diagram build_lifts(struct building *b, const denied_list *networks)
{
	range_list self = host_addresses(b), denied = {0}, leading_out = {0};
	range_list inside = reach_subnets(b->reach, b->pool->a);
	struct diagram lifts, within;

	list_each (d, networks) {
		uint32_t in = reach_add_interface(b->pool, d->bridge);

		add_value(b, &denied, in);
		if (!b->reach->config->networks.items[d->network].internal)
			add_value(b, &leading_out, in);
	}
	list_each (grant, &b->host->lifts)
		add_lift(b, grant, &leading_out, NULL);
	lifts = build(b);
	add_value(b, &inside, REACH_SELF);
	limit_to_ranges(flow_sets_add(&b->sets, 1), FLOW_DST, &inside);
	within = build(b);
	lifts = combine(b, lifts, within, DIAGRAM_MINUS);
	list_each (grant, &b->host->to_host)
		add_lift(b, grant, &denied, &self);
	return combine(b, lifts, build(b), DIAGRAM_OR);
}

/* Addresses of strict networks that no container of the file has get nothing. */
static struct diagram not_to_nobody(struct building *b, struct diagram grants)
{
	range_list subnets = {0}, declared = {0}, others;
	struct diagram strict;

	if (!b->host->sealed.n)
		return grants;
	list_each (sealed, &b->host->sealed) {
		add_subnets(&subnets, b->pool->a,
			    &b->reach->config->networks.items[sealed->network]);
		list_each (ip, &sealed->declared)
			*list_add(b->pool->a, &declared) = flow_range_of_prefix(prefix_of(*ip));
	}
	others = ranges_outside(b->pool->a, &declared, FLOW_DST);
	limit_to_ranges(flow_sets_add(&b->sets, 1), FLOW_DST, &subnets);
	strict = build(b);
	limit_to_ranges(flow_sets_add(&b->sets, 1), FLOW_DST, &others);
	strict = combine(b, strict, build(b), DIAGRAM_AND);
	return combine(b, grants, strict, DIAGRAM_MINUS);
}

/* What policies let this host begin: it needs no home. */
static struct diagram build_from_host(struct building *b)
{
	list_each (grant, &b->host->from_host)
		for (uint32_t m = 0; is_asked(b, grant->origin) && m < grant->n_matches; m++) {
			struct flow_set *set =
				flow_sets_add(&b->sets, REACH_POLICY + grant->origin);

			limit_to_value(&b->sets, set, FLOW_IN, REACH_IN_LOCAL);
			limit_to_peers(&b->sets, set, FLOW_DST, grant->to);
			limit_to_traffic(&b->sets, set, grant->matches[m]);
		}
	return not_to_nobody(b, build(b));
}

/* What policies admit, and what they lift, from genuine sources. */
static struct diagram build_governed(struct building *b)
{
	struct diagram grants = not_to_nobody(b, not_to_host(b, build_grants(b)));

	if (b->host->denied.n)
		grants = combine(b, grants, build_lifts(b, &b->host->denied), DIAGRAM_OR);
	grants = combine(b, grants, b->reach->genuine, DIAGRAM_AND);
	return b->host->from_host.n ? combine(b, grants, build_from_host(b), DIAGRAM_OR) : grants;
}

/* i: which one it is of b->leads */
static void add_door(struct building *b, const struct translation *t, uint32_t i)
{
	const uint32_t leaf = b->leads ? b->leads[i] : REACH_POLICY + t->origin;
	struct flow_set *set;

	if (!leaf)
		return;
	set = flow_sets_add(&b->sets, leaf);
	limit_to_value(&b->sets, set, FLOW_DST, REACH_SELF);
	limit_to_prefix(&b->sets, set, FLOW_SRC, t->from);
	if (b->reach->config->has_ipv6 && !t->from.ip.family)
		limit_to_family(&b->sets, set, FLOW_SRC, t->to.family);
	if (t->own)
		limit_to_value(&b->sets, set, FLOW_IN, REACH_IN_LOCAL);
	if (t->iface)
		limit_to_value(&b->sets, set, FLOW_IN, reach_add_interface(b->pool, t->iface));
	limit_to_traffic(&b->sets, set, t->match);
}

static struct diagram build_doors(struct building *b, const struct flows *flows)
{
	for (enum translation_rank rank = 0; rank < N_RANKS; rank++)
		list_each (t, &flows->translations)
			if (translation_rank(t) == rank && is_asked(b, t->origin))
				add_door(b, t, (uint32_t)(t - flows->translations.items));
	return build(b);
}

/*
 * On the host: of others where their sources are genuine, since borrowed addresses are dropped, and
 * of the host itself.
 */
static struct diagram build_host_doors(struct building *b, const struct flows *flows)
{
	struct diagram doors = combine(b, build_doors(b, flows), b->reach->genuine, DIAGRAM_AND);

	list_each (t, &flows->own)
		if (is_asked(b, t->origin))
			add_door(b, t, flows->translations.n + (uint32_t)(t - flows->own.items));
	return combine(b, doors, build(b), DIAGRAM_OR);
}

/* A container does not know which interface an address belongs to. */
static struct diagram build_doors_of(struct building *b, const struct reach_space *space)
{
	return space->container ? build_doors(b, space->flows) : build_host_doors(b, space->flows);
}

static struct diagram build_masquerades(struct building *b, const struct flows *flows)
{
	list_each (m, &flows->masquerades) {
		struct flow_set *set;

		if (!is_asked(b, m->origin))
			continue;
		set = flow_sets_add(&b->sets, REACH_POLICY + m->origin);
		if (m->from)
			limit_to_peers(&b->sets, set, FLOW_SRC, m->from);
		else if (b->reach->config->has_ipv6)
			limit_to_family(&b->sets, set, FLOW_SRC, m->family);
		if (m->to)
			limit_to_peers(&b->sets, set, FLOW_DST, m->to);
		if (m->oface)
			limit_to_value(&b->sets, set, FLOW_IN,
				       reach_add_interface(b->pool, m->oface));
		limit_to_traffic(&b->sets, set, m->match);
	}
	return build(b);
}

static const char *const *trusted_by(struct arena *a, const struct state *want)
{
	const char **trusted = arena_array(a, const char *, want->networks.n + 1);

	list_each (network, &want->networks) {
		trusted[network - want->networks.items] = "";
		list_each (option, &network->options)
			if (!strcmp(option->name, TRUSTED))
				trusted[network - want->networks.items] = option->value;
	}
	return trusted;
}

void reach_build(struct reach *reach, struct reach_pool *pool, const struct config *config,
		 const struct resolution *resolution, const struct state *want)
{
	struct building b = {.pool = pool,
			     .reach = reach,
			     .host = want->spaces.items[0].flows,
			     .sets.a = pool->a,
			     .only = NONE};

	*reach = (struct reach){.pool = pool,
				.config = config,
				.resolution = resolution,
				.bridges = b.host->bridges,
				.apart = b.host->apart,
				.trusted = trusted_by(pool->a, want)};
	reach->genuine = build_genuine(&b);
	reach->free = build_free(&b);
	reach->governed = build_governed(&b);
	if (b.host->audited.n)
		reach->spared =
			combine(&b, build_lifts(&b, &b.host->audited), reach->genuine, DIAGRAM_AND);
	reach->open = combine(&b, reach->free, reach->governed, DIAGRAM_OR);
	list_each (space, &want->spaces) {
		struct reach_space *s;

		if (space->container && !space->flows->translations.n &&
		    !space->flows->masquerades.n)
			continue;
		s = list_add(pool->a, &reach->spaces);
		s->container = space->container;
		s->flows = space->flows;
		s->doors = build_doors_of(&b, s);
		s->masquerades = build_masquerades(&b, space->flows);
	}
}

const struct reach_space *reach_find_space(const struct reach *reach, const char *container)
{
	list_each (space, &reach->spaces)
		if (container ? space->container && !strcmp(space->container, container)
			      : !space->container)
			return space;
	return NULL;
}

uint32_t reach_ask(const struct reach *reach, struct diagram d, const struct reach_flow *flow)
{
	const flow_value values[N_FLOW_FIELDS] = {
		[FLOW_DST] = flow->dst.family ? flow_value_of_ip(flow->dst) : REACH_SELF,
		[FLOW_SRC] = flow->src.family ? flow_value_of_ip(flow->src) : REACH_SELF,
		[FLOW_IN] = flow->in,
		[FLOW_PROTO] = flow->proto,
		[FLOW_PORT] = flow->port,
	};

	return diagram_ask(reach->pool->diagrams, d, values);
}

struct diagram reach_leads(const struct reach *reach, const struct reach_space *space,
			   const uint32_t *leads)
{
	struct building b = {.pool = reach->pool,
			     .reach = reach,
			     .host = reach->spaces.items[0].flows,
			     .sets.a = reach->pool->a,
			     .only = NONE,
			     .leads = leads};

	return build_doors_of(&b, space);
}

void reach_part(struct reach_part *part, const struct reach *reach, const struct reach_space *space,
		uint32_t policy)
{
	struct building b = {.pool = reach->pool,
			     .reach = reach,
			     .host = reach->spaces.items[0].flows,
			     .sets.a = reach->pool->a,
			     .only = policy};

	*part = (struct reach_part){.grants = diagram_every(0)};
	part->doors = build_doors_of(&b, space);
	part->masquerades = build_masquerades(&b, space->flows);
	if (space != reach->spaces.items)
		return;
	part->grants = build_governed(&b);
}

bool reach_is_denied(const struct reach *reach, uint32_t in)
{
	list_each (d, &reach->spaces.items[0].flows->denied)
		if (reach_interface(reach->pool, d->bridge) == in)
			return true;
	return false;
}

bool reach_would_be_denied(const struct reach *reach, const struct reach_flow *flow)
{
	list_each (d, &reach->spaces.items[0].flows->audited)
		if (reach_interface(reach->pool, d->bridge) == flow->in)
			return reach_ask(reach, reach->spared, flow) < REACH_POLICY;
	return false;
}

bool reach_is_hosts(const struct reach *reach, struct ip ip)
{
	uint32_t network = reach_network_of(reach, ip);

	return !ip.family ||
	       (network != NONE &&
		ip_equal(reach->config->networks.items[network].ipam[ip_family(ip)].gateway, ip));
}

uint32_t reach_network_of(const struct reach *reach, struct ip ip)
{
	uint32_t network = ip.family ? config_network_of(reach->config, prefix_of(ip)) : NONE;

	return network != NONE && reach->bridges[network] ? network : NONE;
}
