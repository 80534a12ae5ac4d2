/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies become flows, each in the namespace where its rules live. Nothing here knows nftables or
 * iptables (core/program/program.c does).
 */
#include "base/hash.h"
#include "core/compile/impl.h"

#include <netinet/in.h>
#include <string.h>

static void find_matches(struct compiler *c, const struct policy *p)
{
	const struct port_range *ports = policy_ports(c->config, p);

	c->matches.n = 0;
	for (uint32_t set = p->protos; set; set &= set - 1) {
		struct traffic every = traffic_of((enum proto)(set & -set));

		if (!match_has_ports(every) || !p->n_ports)
			*list_add(c->a, &c->matches) = every;
		else
			for (uint32_t k = 0; k < p->n_ports; k++)
				*list_add(c->a, &c->matches) =
					(struct traffic){every.proto, ports[k].low, ports[k].high};
	}
}

/* A copy of the policy's matches for one family, to keep. */
static const struct traffic *kept_matches(struct compiler *c, uint8_t family, uint32_t *n)
{
	struct traffic *kept = arena_take(c->a, c->matches.n * sizeof(struct traffic));

	*n = c->matches.n;
	for (uint32_t i = 0; i < c->matches.n; i++)
		kept[i] = traffic_in_family(c->matches.items[i], family);
	return kept;
}

/* --- ends of both families --- */

static const struct peers *part_of(struct compiler *c, const struct peers *peers, uint8_t family)
{
	struct peers *part = arena_new(c->a, struct peers);

	*part = (struct peers){.items = arena_array(c->a, struct peer, peers->n),
			       .match = peers->match,
			       .network = NONE};
	for (uint32_t i = 0; i < peers->n; i++)
		if (peers->items[i].net.ip.family == family) {
			part->items[part->n++] = peers->items[i];
			part->hash =
				hash_more(part->hash, &peers->items[i].net, sizeof(struct prefix));
		}
	part->network = part->n ? part->items[0].network : NONE;
	for (uint32_t i = 0; i < part->n; i++)
		if (part->items[i].network != part->network)
			part->network = NONE;
	return part;
}

/* Many policies name the same few lists, so each is divided once. */
static const struct peers *known_part_of(struct compiler *c, const struct peers *peers,
					 uint8_t family)
{
	uint32_t at = hash_index_find(&c->parts_by_whole, hash_bytes(&peers, sizeof(peers)), i,
				      c->parts.items[i].whole == peers);

	if (at == NONE) {
		at = c->parts.n;
		*list_add(c->a, &c->parts) =
			(struct parts){peers, {part_of(c, peers, 4), part_of(c, peers, 6)}};
		hash_index_grow(&c->parts_by_whole, c->a, &c->parts, i,
				hash_bytes(&c->parts.items[i].whole, sizeof(peers)));
	}
	return c->parts.items[at].of[family == 6 ? FAMILY_6 : FAMILY_4];
}

/* Mostly all peers are of one family: then nothing is copied. */
const struct peers *of_family(struct compiler *c, const struct peers *peers, uint8_t family)
{
	static const struct peers nobody = {.network = NONE};
	uint32_t n = 0;

	for (uint32_t i = 0; i < peers->n; i++)
		n += peers->items[i].net.ip.family == family;
	if (n == peers->n)
		return peers;
	return n ? known_part_of(c, peers, family) : &nobody;
}

/* The name of a list's set: where a list has both families, its IPv6 part has a name of its own. */
const char *name_of_part(struct compiler *c, const char *name, const struct peers *whole,
			 const struct peers *part)
{
	bool second = part != whole && part->n && part->items[0].net.ip.family == 6;

	return name && second ? arena_printf(c->a, "%s_v6", name) : name;
}

/* The ports as the target sees them. */
struct traffic translated(struct traffic match, uint16_t to_port)
{
	if (to_port && match_has_ports(match))
		match.low = match.high = to_port;
	return match;
}

/* The networks that a peer is on: those of its container, or the one whose subnet holds it. */
static struct home home_of(const struct compiler *c, const struct peer *peer)
{
	if (peer->address != NONE)
		return c->nodes.of_address[peer->address];
	return (struct home){.node = NONE, .network = peer->network};
}

/* A network without a bridge counts as outside. */
static uint32_t with_bridge(const struct compiler *c, uint32_t network)
{
	return network != NONE && c->bridges[network] ? network : NONE;
}

/* A source outside the declared networks may be in another Docker network: remember it. */
static void note_sources(struct compiler *c, const struct peers *from)
{
	for (uint32_t i = 0; i < from->n; i++) {
		struct prefix src = from->items[i].net;

		if (with_bridge(c, from->items[i].network) == NONE &&
		    !hash_set_has_or_add(&c->known_sources, c->a, hash_bytes(&src, sizeof(src))))
			*list_add(c->a, &c->allowed_sources) = src;
	}
}

static struct end end_of(const struct compiler *c, const struct peer *peer)
{
	struct home home = home_of(c, peer);

	if (home.node == NONE)
		return routes_end(&c->nodes, peer->net);
	return (struct end){peer->net, &c->nodes.list.items[home.node],
			    home.has_endpoint ? home.network : NONE};
}

/* One peer for each declared network, and all peers that are on none. */
static const struct peers *one_of_each_network(struct compiler *c, const struct peers *peers)
{
	struct peers *few;
	struct hash_set networks = {0};

	if (peers->n <= 1)
		return peers;
	few = arena_new(c->a, struct peers);
	few->items = arena_array(c->a, struct peer, peers->n);
	for (uint32_t i = 0; i < peers->n; i++) {
		uint32_t network = peers->items[i].network;

		if (network == NONE || !hash_set_has_or_add(&networks, c->a, network + 1))
			few->items[few->n++] = peers->items[i];
	}
	return few;
}

/* Flows within one network need no route. */
static void need_routes(struct compiler *c, const struct peers *from, const struct peers *to,
			uint32_t origin)
{
	for (uint32_t s = 0; s < from->n; s++)
		for (uint32_t d = 0; d < to->n; d++) {
			const struct peer *src = &from->items[s], *dst = &to->items[d];
			struct home here = home_of(c, src), there = home_of(c, dst);

			if ((here.network == NONE || here.network != there.network) &&
			    (src->net.ip.family == 6 || !routes_know(&c->routes, here, there)))
				routes_need(&c->routes, end_of(c, src), end_of(c, dst), origin);
		}
}

/*
 * Every member of one end needs a route to every network of the other end, not to every member
 * there.
 */
static void grant_routes(struct compiler *c, const struct grant *grant)
{
	const struct peers *sources = one_of_each_network(c, grant->from);
	const struct peers *targets = one_of_each_network(c, grant->to);

	need_routes(c, grant->from, targets, grant->origin);
	if (targets != grant->to)
		need_routes(c, sources, grant->to, grant->origin);
}

static void note_types(struct compiler *c, const struct grant *grant)
{
	for (uint32_t m = 0; m < grant->n_matches; m++)
		c->host->types |= match_has_types(grant->matches[m]);
}

void grant(struct compiler *c, struct grant grant)
{
	note_types(c, &grant);
	grant.logged = c->config->policies.items[grant.origin].log;
	note_sources(c, grant.from);
	c->host->ipv6 |= grant.to->items[0].net.ip.family == 6;
	*list_add(c->a, &c->host->grants) = grant;
}

const char *name_of_list(const struct compiler *c, uint32_t name)
{
	return config_label(c->config, name);
}

/*
 * Packets to macvlan, ipvlan and overlay networks do not pass this host: no rule of ours sees them.
 */
static bool is_beside(const struct compiler *c, const struct peer *peer)
{
	return peer->network != NONE && c->beside[peer->network];
}

static const struct peers *without_those_beside(struct compiler *c, const struct peers *peers)
{
	struct peers *rest;
	uint32_t n = 0;

	for (uint32_t i = 0; i < peers->n; i++)
		n += is_beside(c, &peers->items[i]);
	if (!n)
		return peers;
	rest = arena_new(c->a, struct peers);
	*rest = (struct peers){.items = arena_array(c->a, struct peer, peers->n), .network = NONE};
	for (uint32_t i = 0; i < peers->n; i++)
		if (!is_beside(c, &peers->items[i])) {
			rest->items[rest->n++] = peers->items[i];
			rest->hash =
				hash_more(rest->hash, &peers->items[i].net, sizeof(struct prefix));
		}
	return rest;
}

/*
 * What one network's containers send each other passes the forward hook only by br_netfilter, and
 * matters only where Docker drops it: enable_icc=false.
 */
static bool stays_within(const struct compiler *c, const struct peers *from, const struct peers *to)
{
	return from->network != NONE && from->network == to->network && !c->apart[to->network];
}

typedef LIST(struct prefix) prefixes;

static void add_home(struct compiler *c, prefixes *homes, struct prefix net)
{
	if (!net.ip.family)
		return;
	list_each (home, homes)
		if (prefix_covers(*home, net))
			return;
	*list_add(c->a, homes) = prefix_canonical(net);
}

/* The prefixes behind a bridge: its network's subnets, and what the host routes over it. */
static prefixes homes_on(struct compiler *c, const char *iface)
{
	prefixes homes = {0};

	for (uint32_t i = 0; i < c->config->networks.n; i++)
		for (enum family f = 0; f < N_FAMILIES; f++)
			if (c->bridges[i] && !strcmp(c->bridges[i], iface))
				add_home(c, &homes, c->config->networks.items[i].ipam[f].subnet);
	list_each (network, &c->engine->networks)
		if (network->bridge && !strcmp(network->bridge, iface))
			list_each (subnet, &network->subnets)
				add_home(c, &homes, *subnet);
	for (uint32_t i = 0; homes.n && i < c->facts->n_routed; i++)
		if (!strcmp(c->facts->routed[i].device, iface))
			add_home(c, &homes, c->facts->routed[i].prefix);
	return homes;
}

static void add_part(struct compiler *c, struct peers *part, const struct peer *peer,
		     struct prefix home)
{
	struct prefix net = prefix_covers(home, peer->net) ? peer->net : home;

	if (!prefix_overlaps(home, peer->net))
		return;
	for (uint32_t i = 0; i < part->n; i++)
		if (!prefix_compare(part->items[i].net, net))
			return;
	part->items[part->n++] =
		(struct peer){net, prefix_compare(net, peer->net) ? NONE : peer->address,
			      config_network_of(c->config, net)};
	part->hash = hash_more(part->hash, &net, sizeof(net));
	part->network = part->n == 1 || part->network == part->items[part->n - 1].network
				? part->items[part->n - 1].network
				: NONE;
}

/*
 * Sources are only accepted from the bridge that they belong to. So where the policy names a
 * bridge, narrow its sources to those behind it, and no rule has to ask for the interface.
 */
static const struct peers *those_by_bridge(struct compiler *c, const struct peers *from,
					   const prefixes *homes)
{
	struct peers *part = arena_new(c->a, struct peers);

	*part = (struct peers){.items = arena_array(c->a, struct peer, from->n * homes->n),
			       .match = from->match,
			       .network = NONE};
	for (uint32_t i = 0; i < from->n; i++)
		list_each (home, homes)
			add_part(c, part, &from->items[i], *home);
	return part;
}

/* The policy's sources, and the interface they must come in by. *iface NULL: any. */
static const struct peers *sources_of(struct compiler *c, uint32_t i, const struct peers *from,
				      const char **iface)
{
	const struct policy *p = &c->config->policies.items[i];
	const char *name = p->nat == NAT_NO ? config_name(c->config, p->iface) : NULL;
	const struct peers *part;
	prefixes homes = {0};

	*iface = name;
	if (name)
		homes = homes_on(c, name);
	if (!homes.n)
		return from;
	*iface = NULL;
	part = those_by_bridge(c, from, &homes);
	if (!part->n)
		policy_finding(c, FINDING_WARNING, i,
			       "no effect: \"%s\" is the bridge of a network that \"from\" has no "
			       "address of",
			       name);
	return part;
}

void grant_policy(struct compiler *c, uint32_t i, struct ends_of_policy ends)
{
	const struct peers *all = without_those_beside(c, ends.to);
	const char *iface;
	const struct peers *sources = sources_of(c, i, ends.from, &iface);

	each_family (family) {
		const struct peers *from = of_family(c, sources, family),
				   *to = of_family(c, all, family);
		struct grant new = {.from = from, .to = to, .iface = iface, .origin = i};

		if (!from->n || !to->n || stays_within(c, from, to))
			continue;
		new.from_name = name_of_part(c, name_of_list(c, ends.from_name), sources, from);
		new.to_name = name_of_part(c, name_of_list(c, ends.to_name), all, to);
		new.matches = kept_matches(c, family, &new.n_matches);
		grant(c, new);
		grant_routes(c, &new);
	}
}

/* --- what the subject may begin --- */

/* wanted: the peers on networks of the file that have a bridge; else the other peers. */
static const struct peers *on_networks(struct compiler *c, const struct peers *peers, bool wanted)
{
	struct peers *part;
	uint32_t n = 0;

	for (uint32_t i = 0; i < peers->n; i++)
		n += (with_bridge(c, peers->items[i].network) != NONE) == wanted;
	if (n == peers->n)
		return peers;
	part = arena_new(c->a, struct peers);
	*part = (struct peers){.items = arena_array(c->a, struct peer, n), .network = NONE};
	for (uint32_t i = 0; i < peers->n; i++) {
		const struct peer *peer = &peers->items[i];

		if ((with_bridge(c, peer->network) != NONE) != wanted)
			continue;
		part->network = !part->n || peer->network == part->network ? peer->network : NONE;
		part->items[part->n++] = *peer;
		part->has_host |= !peer->net.ip.family;
		part->hash = hash_more(part->hash, &peer->net, sizeof(struct prefix));
	}
	return part;
}

/* One of them is on a network with egress deny or audit. */
static bool is_denied(const struct compiler *c, const struct peers *from)
{
	for (uint32_t i = 0; i < from->n; i++) {
		uint32_t network = with_bridge(c, from->items[i].network);

		if (network != NONE && c->config->networks.items[network].egress != EGRESS_OPEN)
			return true;
	}
	return false;
}

static void lift(struct compiler *c, uint32_t i, struct ends_of_policy ends)
{
	const bool host = ends.to->has_host;

	each_family (family) {
		const struct peers *from = of_family(c, ends.from, family),
				   *to = of_family(c, ends.to, family);
		struct grant new = {.from = from,
				    .to = to,
				    .origin = i,
				    .logged = c->config->policies.items[i].log};

		if (!is_denied(c, from) || (!to->n && !host))
			continue;
		c->host->ipv6 |= family == 6;
		new.from_name = name_of_part(c, name_of_list(c, ends.from_name), ends.from, from);
		new.to_name = name_of_part(c, name_of_list(c, ends.to_name), ends.to, to);
		new.matches = kept_matches(c, family, &new.n_matches);
		note_types(c, &new);
		if (to->n)
			*list_add(c->a, &c->host->lifts) = new;
		new.to = NULL;
		if (host)
			*list_add(c->a, &c->host->to_host) = new;
	}
}

/*
 * To a target in a network of the file: a grant, as if the target's policy named the subject in
 * "from". To any other target: only lift egress deny.
 */
static void compile_towards(struct compiler *c, uint32_t i, const struct resolved *r)
{
	const struct policy *p = &c->config->policies.items[i];
	struct ends_of_policy ends = {r->subject, on_networks(c, r->to, true), p->subject, p->to};

	if (ends.to->n)
		grant_policy(c, i, ends);
	ends.to = on_networks(c, r->to, false);
	if (ends.to->n)
		lift(c, i, ends);
}

/* Those on networks that are closed to this host, or that an audit takes for such. */
static const struct peers *closed_to_host(struct compiler *c, const struct peers *peers)
{
	struct peers *part = arena_new(c->a, struct peers);

	*part = (struct peers){.items = arena_array(c->a, struct peer, peers->n), .network = NONE};
	for (uint32_t i = 0; i < peers->n; i++) {
		uint32_t network = with_bridge(c, peers->items[i].network);

		if (network == NONE || !network_minds_host(&c->config->networks.items[network]))
			continue;
		part->items[part->n++] = peers->items[i];
		part->hash = hash_more(part->hash, &peers->items[i].net, sizeof(struct prefix));
	}
	return part->n == peers->n ? peers : part;
}

/* What this host itself begins. */
static void open_to_host(struct compiler *c, uint32_t i, const struct peers *subject)
{
	const struct peers *all = closed_to_host(c, subject);

	each_family (family) {
		struct grant new = {.to = of_family(c, all, family), .origin = i};

		if (!new.to->n)
			continue;
		c->host->ipv6 |= family == 6;
		new.to_name = name_of_part(c, name_of_list(c, c->config->policies.items[i].subject),
					   all, new.to);
		new.matches = kept_matches(c, family, &new.n_matches);
		*list_add(c->a, &c->host->from_host) = new;
	}
}

static void compile_policy(struct compiler *c, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];
	const struct resolved r = resolved_policy(c->resolution, c->config, p);

	if (r.waiting) {
		policy_finding(c, FINDING_WAITING, i, "%s: nothing in the file is named \"%s\"",
			       r.waiting, r.missing);
		return;
	}
	find_matches(c, p);
	if (p->nat != NAT_NO) {
		compile_nat(c, i, &r);
	} else if (p->from) {
		grant_policy(c, i, (struct ends_of_policy){r.from, r.subject, p->from, p->subject});
		if (r.from->has_host)
			open_to_host(c, i, r.subject);
	} else if (p->to) {
		compile_towards(c, i, &r);
	}
}

void compile_policies(struct compiler *c)
{
	for (uint32_t i = 0; i < c->config->policies.n; i++)
		compile_policy(c, i);
}
