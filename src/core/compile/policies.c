/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies become flows, each in the namespace where its rules live. Nothing here knows nftables or
 * iptables (core/ruleset/program.c does).
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
		struct traffic every = {.proto = proto_number((enum proto)(set & -set)),
					.high = UINT16_MAX};

		if (!match_has_ports(every) || !p->n_ports)
			*list_add(c->a, &c->matches) = every;
		else
			for (uint32_t k = 0; k < p->n_ports; k++)
				*list_add(c->a, &c->matches) =
					(struct traffic){every.proto, ports[k].low, ports[k].high};
	}
}

/* They outlive the policy at hand. */
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

/* Policies name the same few lists: each is taken apart once. */
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

/* Those of one family; mostly these are all or none. */
static const struct peers *of_family(struct compiler *c, const struct peers *peers, uint8_t family)
{
	static const struct peers nobody = {.network = NONE};
	uint32_t n = 0;

	for (uint32_t i = 0; i < peers->n; i++)
		n += peers->items[i].net.ip.family == family;
	if (n == peers->n)
		return peers;
	return n ? known_part_of(c, peers, family) : &nobody;
}

/* As rules call a part: of a list that has both families the one of IPv6 has another name. */
static const char *name_of_part(struct compiler *c, const char *name, const struct peers *whole,
				const struct peers *part)
{
	bool second = part != whole && part->n && part->items[0].net.ip.family == 6;

	return name && second ? arena_printf(c->a, "%s_v6", name) : name;
}

/* The ports as the target sees them. */
static struct traffic translated(struct traffic match, uint16_t to_port)
{
	if (to_port && match_has_ports(match))
		match.low = match.high = to_port;
	return match;
}

/* Where a peer is at home; of what is no address of the file, the network that holds it. */
static struct home home_of(const struct compiler *c, const struct peer *peer)
{
	if (peer->address != NONE)
		return c->nodes.of_address[peer->address];
	return (struct home){.node = NONE, .network = peer->network};
}

/* A network without a bridge is to the host what any other address is. */
static uint32_t with_bridge(const struct compiler *c, uint32_t network)
{
	return network != NONE && c->bridges[network] ? network : NONE;
}

/* What comes from outside the declared networks may be another Docker network's. */
static void note_guests(struct compiler *c, const struct peers *from)
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
			    home.seated ? home.network : NONE};
}

/* Of the peers one for each declared network, and all that are on none. */
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

/* Every member of one end needs a way to every place of the other, not to every member there. */
static void grant_routes(struct compiler *c, const struct grant *grant)
{
	const struct peers *sources = one_of_each_network(c, grant->from);
	const struct peers *targets = one_of_each_network(c, grant->to);

	need_routes(c, grant->from, targets, grant->origin);
	if (targets != grant->to)
		need_routes(c, sources, grant->to, grant->origin);
}

static void grant(struct compiler *c, struct grant grant)
{
	grant.logged = c->config->policies.items[grant.origin].log;
	note_guests(c, grant.from);
	c->host->ipv6 |= grant.to->items[0].net.ip.family == 6;
	*list_add(c->a, &c->host->grants) = grant;
}

static const char *name_of_list(const struct compiler *c, uint32_t name)
{
	return config_label(c->config, name);
}

/* Packets to these do not pass this host, so nothing of ours is in their way. */
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

/* What is at home on a bridge: its network's subnets, and what the host routes over it. */
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
 * A source counts only where it is at home. So by a bridge come those that are at home there, and
 * no rule has to ask for it; by another interface comes whoever is at home on no bridge.
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

/* Who may come, and (NULL: no matter) by which interface. */
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

/* The two ends of a policy, and the numbers of the names that it calls them by. */
struct ends_of_policy {
	const struct peers *from, *to;
	uint32_t from_name, to_name;
};

static void grant_policy(struct compiler *c, uint32_t i, struct ends_of_policy ends)
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

/* Of the peers those on a network of the file that has a bridge, or the others. */
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
		part->hash = hash_more(part->hash, &peer->net, sizeof(struct prefix));
	}
	return part;
}

/* Those whose packets come by a bridge that egress deny closes. */
static bool is_denied(const struct compiler *c, const struct peers *from)
{
	for (uint32_t i = 0; i < from->n; i++) {
		uint32_t network = with_bridge(c, from->items[i].network);

		if (network != NONE && c->config->networks.items[network].egress == EGRESS_DENY)
			return true;
	}
	return false;
}

static void lift(struct compiler *c, uint32_t i, struct ends_of_policy ends)
{
	const bool host = peers_have_host(ends.to);

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
		if (to->n)
			*list_add(c->a, &c->host->lifts) = new;
		new.to = NULL;
		if (host)
			*list_add(c->a, &c->host->to_host) = new;
	}
}

/* Into a network of the file as if its containers named the subject; elsewhere what egress deny
 * closes.
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

static const struct peers *one_peer(struct compiler *c, struct prefix net)
{
	struct peers *peers = arena_new(c->a, struct peers);

	peers->items = arena_new(c->a, struct peer);
	peers->items[0] = (struct peer){net, NONE, config_network_of(c->config, net)};
	peers->n = 1;
	peers->network = peers->items[0].network;
	peers->hash = hash_bytes(&net, sizeof(net));
	return peers;
}

/* To one address, for a translation. */
static void grant_translated(struct compiler *c, const struct peers *from, const char *from_name,
			     struct prefix dst, struct traffic match, uint32_t origin)
{
	struct traffic *matches = arena_new(c->a, struct traffic);

	*matches = match;
	grant(c, (struct grant){.from = from,
				.from_name = from_name,
				.to = one_peer(c, dst),
				.matches = matches,
				.n_matches = 1,
				.translated = true,
				.origin = origin});
}

/* A neighbour that Docker does not keep apart. */
static bool is_reached_from(const struct compiler *c, const struct seat *seat, struct ip to)
{
	uint32_t network = config_network_of(c->config, prefix_of(to));

	return prefix_contains(seat->subnet, to) && (network == NONE || !c->apart[network]);
}

/* What a translating container sends to the target is the container's own traffic. */
static void allow_translated(struct compiler *c, const struct node *node,
			     const struct translation *t)
{
	struct traffic match = translated(t->match, t->to_port);
	bool declared = false;

	if (!t->masquerade) {
		if (t->list)
			grant_translated(c, t->list, t->list_name, prefix_of(t->to), match,
					 t->origin);
		else if (t->from.ip.family)
			grant_translated(c, one_peer(c, t->from), NULL, prefix_of(t->to), match,
					 t->origin);
		else
			policy_finding(
				c, FINDING_WARNING, t->origin,
				"masquerade is off and there is no from: the host can't tell "
				"whose flow it is and lets nothing through; name the source");
		return;
	}
	list_each (seat, &node->seats)
		declared |= seat->declared && seat->ip.family == t->to.family;
	list_each (seat, &node->seats) {
		if (seat->ip.family != t->to.family || (declared && !seat->declared) ||
		    is_reached_from(c, seat, t->to))
			continue;
		grant_translated(c, one_peer(c, prefix_of(seat->ip)), NULL, prefix_of(t->to), match,
				 t->origin);
		routes_need(&c->routes, (struct end){prefix_of(seat->ip), node, NONE},
			    routes_end(&c->nodes, prefix_of(t->to)), t->origin);
	}
}

/* On the host only where the reply would not come back. */
static bool host_masquerades(struct compiler *c, const struct policy *p,
			     const struct translation *t)
{
	const struct node *node = nodes_find_ip(&c->nodes, t->to);

	if (p->masquerade != MASQUERADE_AUTO)
		return p->masquerade == MASQUERADE_YES;
	return node && (!node_has_default_route(node, t->to.family) ||
			!answers_come_back(node, t->to, t->from));
}

static bool has_hairpin(const struct compiler *c, struct prefix subnet)
{
	list_each (known, &c->host->hairpins)
		if (!prefix_compare(*known, subnet))
			return true;
	return false;
}

static void note_hairpin(struct compiler *c, const struct policy *p, struct ip to)
{
	if (p->masquerade == MASQUERADE_NO)
		return;
	for (uint32_t i = 0; i < c->config->networks.n; i++) {
		struct prefix subnet = c->config->networks.items[i].ipam[ip_family(to)].subnet;

		if (c->bridges[i] && prefix_contains(subnet, to) &&
		    (!p->iface || !strcmp(config_name(c->config, p->iface), c->bridges[i])) &&
		    !has_hairpin(c, subnet))
			*list_add(c->a, &c->host->hairpins) = subnet;
	}
}

static void add_translation(struct compiler *c, struct translation t, struct node *node)
{
	struct flows *flows = node ? &c->of_node[node - c->nodes.list.items] : c->host;

	if (t.from.ip.family && !t.from.len)
		t.from = (struct prefix){0}; /* any */
	t.logged = c->config->policies.items[t.origin].log;
	flows->ipv6 |= t.to.family == 6;
	*list_add(c->a, &flows->translations) = t;
}

/* Of the sources those whose replies would come back only masqueraded, or those others. */
static const struct peers *sources_by_masquerade(struct compiler *c, const struct policy *p,
						 struct translation t, const struct peers *from,
						 const struct node *node, bool masquerade)
{
	struct peers *part = arena_new(c->a, struct peers);

	*part = (struct peers){.items = arena_array(c->a, struct peer, from->n), .network = NONE};
	for (uint32_t s = 0; s < from->n; s++) {
		t.from = from->items[s].net;
		if ((node ? p->masquerade != MASQUERADE_NO : host_masquerades(c, p, &t)) ==
		    masquerade)
			part->items[part->n++] = from->items[s];
	}
	if (part->n == from->n)
		return from;
	for (uint32_t s = 0; s < part->n; s++)
		part->hash = hash_more(part->hash, &part->items[s].net, sizeof(struct prefix));
	return part;
}

/* A list of sources. */
static void translate_list(struct compiler *c, const struct policy *p, struct translation t,
			   const struct peers *from, struct node *node)
{
	for (int masquerade = 0; masquerade < 2; masquerade++) {
		const struct peers *part = sources_by_masquerade(c, p, t, from, node, masquerade);

		t.masquerade = masquerade;
		t.list = part->n > FEW_SOURCES ? part : NULL;
		list_each (match, &c->matches) {
			t.match = traffic_in_family(*match, t.to.family);
			for (uint32_t s = 0; s < part->n; s++) {
				t.from = part->items[s].net;
				add_translation(c, t, node);
				/* once for a list, and where all come from the container itself */
				if (node && !translation_repeats(&t) &&
				    (!s || (!masquerade && !t.list)))
					allow_translated(c, node, &t);
			}
		}
		if (part->n && !node && masquerade && nodes_find_ip(&c->nodes, t.to))
			routes_need_gateway(&c->routes, nodes_find_ip(&c->nodes, t.to), t.to,
					    t.origin);
	}
}

/* Few sources, or (NULL) anybody. */
static void translate_few(struct compiler *c, const struct policy *p, struct translation t,
			  const struct peers *from, struct node *node)
{
	for (uint32_t s = 0; s < (from ? from->n : 1); s++) {
		t.from = from ? from->items[s].net : (struct prefix){0};
		if (!t.from.len)
			t.from = (struct prefix){0}; /* any */
		t.masquerade = node ? p->masquerade != MASQUERADE_NO : host_masquerades(c, p, &t);
		if (!node && t.masquerade && nodes_find_ip(&c->nodes, t.to))
			routes_need_gateway(&c->routes, nodes_find_ip(&c->nodes, t.to), t.to,
					    t.origin);
		list_each (match, &c->matches) {
			t.match = traffic_in_family(*match, t.to.family);
			add_translation(c, t, node);
			if (node && !translation_repeats(&t))
				allow_translated(c, node, &t);
		}
	}
}

/* One translation for every source (or one for anybody) and every match. */
static void translate_to(struct compiler *c, uint32_t i, const struct resolved *r, struct ip to,
			 struct share share, struct node *node)
{
	const struct policy *p = &c->config->policies.items[i];
	const struct peers *from = of_family(c, r->from, to.family);
	struct translation t = {.iface = config_name(c->config, p->iface),
				.to = to,
				.share = share,
				.to_port = p->to_port,
				.list_name =
					name_of_part(c, name_of_list(c, p->from), r->from, from),
				.origin = i};

	if (p->from && !from->n)
		return;
	/* a list is sorted: "any" comes first, and then everybody is meant */
	if (p->from && from->n > FEW_SOURCES && from->items[0].net.len)
		translate_list(c, p, t, from, node);
	else
		translate_few(c, p, t, p->from && from->items[0].net.len ? from : NULL, node);
	if (!node)
		note_hairpin(c, p, t.to);
}

/* An address of no container may be anything. */
static bool answers_now(const struct compiler *c, struct ip target)
{
	const struct node *node = nodes_find_ip(&c->nodes, target);

	return !c->engine->up || !node || node_is_running(node);
}

/* The targets that run; all of them where none does. */
static const struct peers *running_targets(struct compiler *c, const struct peers *to)
{
	struct peers *running = arena_new(c->a, struct peers);

	*running = (struct peers){.items = arena_array(c->a, struct peer, to->n), .network = NONE};
	for (uint32_t k = 0; k < to->n; k++)
		if (answers_now(c, to->items[k].net.ip))
			running->items[running->n++] = to->items[k];
	return running->n ? running : to;
}

/*
 * Each target has its part of all clients. Those of targets that do not run are divided once more,
 * among the others, so that no client of these moves.
 */
static void spread(struct compiler *c, uint32_t i, const struct resolved *r, const struct peers *to,
		   struct node *node)
{
	const struct peers *running = running_targets(c, to);

	for (uint32_t k = 0, n = 0; k < to->n && n < running->n; k++) {
		struct ip target = to->items[k].net.ip;

		if (!ip_equal(target, running->items[n].net.ip))
			continue;
		translate_to(c, i, r, target, (struct share){(uint8_t)k, (uint8_t)to->n, 0}, node);
		n++;
	}
	for (uint32_t k = 0; running->n < to->n && k < running->n; k++)
		translate_to(c, i, r, running->items[k].net.ip,
			     (struct share){(uint8_t)k, (uint8_t)running->n, 1}, node);
}

/* Each container once, whatever its addresses. */
static void note_stopped_targets(struct compiler *c, uint32_t i, const struct peers *to)
{
	const struct node *stopped[2 * CONFIG_MAX_TARGETS];
	const char *names = "";
	uint32_t n = 0, left = to->n;

	for (uint32_t k = 0; k < to->n; k++) {
		const struct node *node = nodes_find_ip(&c->nodes, to->items[k].net.ip);
		bool known = false;

		if (answers_now(c, to->items[k].net.ip))
			continue;
		left--;
		for (uint32_t s = 0; s < n; s++)
			known |= stopped[s] == node;
		if (known)
			continue;
		stopped[n++] = node;
		names = arena_printf(c->a, "%s%s%s", names, n > 1 ? ", " : "", node->name);
	}
	if (n)
		policy_finding(c, FINDING_NOTE, i,
			       left ? "not running: %s; the other targets have its clients"
				    : "not running: %s; no target is left",
			       names);
}

/* Targets of both families: each in its own. */
static void translate(struct compiler *c, uint32_t i, const struct resolved *r, struct node *node)
{
	if (r->to->n > 1)
		note_stopped_targets(c, i, r->to);
	each_family (family) {
		const struct peers *to = of_family(c, r->to, family);

		if (to->n > 1)
			spread(c, i, r, to, node);
		else if (to->n)
			translate_to(c, i, r, to->items[0].net.ip, (struct share){0}, node);
	}
}

/* What comes from the container itself is all of its own traffic. */
static bool holds_its_own(const struct compiler *c, const struct peers *peers,
			  const struct node *node)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (prefix_is_single(peers->items[i].net) &&
		    nodes_find_ip(&c->nodes, peers->items[i].net.ip) == node)
			return true;
	return false;
}

static void masquerade_family(struct compiler *c, uint32_t i, const struct resolved *r,
			      struct node *node, uint8_t family)
{
	const struct policy *p = &c->config->policies.items[i];
	struct flows *flows = node ? &c->of_node[node - c->nodes.list.items] : c->host;
	const struct peers *sources = p->from ? r->from : r->subject;
	const struct peers *from = of_family(c, sources, family), *to = of_family(c, r->to, family);
	bool own = !p->from && !p->iface && !p->name; /* what leaves the subject's containers */
	struct masquerading m = {
		.family = family,
		.oface = config_name(c->config, p->iface),
		.from = own || !from->n || (node && holds_its_own(c, from, node)) ? NULL : from,
		.from_name = name_of_part(c, name_of_list(c, p->from ? p->from : p->subject),
					  sources, from),
		.to = to->n ? to : NULL,
		.to_name = name_of_part(c, name_of_list(c, p->to), r->to, to),
		.origin = i};

	if ((sources->n && !from->n) || (r->to->n && !to->n) ||
	    (family == 6 && !c->config->has_ipv6 && !from->n && !to->n))
		return;
	flows->ipv6 |= family == 6;
	list_each (match, &c->matches) {
		m.match = traffic_in_family(*match, family);
		*list_add(c->a, &flows->masquerades) = m;
	}
}

static void masquerade(struct compiler *c, uint32_t i, const struct resolved *r, struct node *node)
{
	each_family (family)
		masquerade_family(c, i, r, node, family);
}

/* NULL is the host. */
static void add_place(struct compiler *c, uint32_t i, struct node *node)
{
	if (node && node->shares_namespace)
		policy_finding(c, FINDING_CONFLICT, i,
			       "container \"%s\" has no network namespace of its own "
			       "(--network host or container:…)",
			       node->name);
	else
		*list_add(c->a, &c->places) = node;
}

/* A prefix match in the file is a guess: a container of the engine of exactly this name comes
 * first.
 */
static struct node *named_node(const struct compiler *c, uint32_t name, const char *container)
{
	const struct peers *peers = c->resolution->peers[ASK_CONTAINER][name];
	struct node *node = NULL;

	if (peers->match == MATCH_PREFIX)
		node = nodes_find(&c->nodes, config_name(c->config, name));
	return node ? node : nodes_find(&c->nodes, container);
}

/*
 * The interface of a VPN container that is removed must not become the host's of the same name:
 * what came through the tunnel would be taken from the host's own.
 */
static bool waits_for_container(struct compiler *c, uint32_t i, const char *name)
{
	if (c->facts->forgotten)
		policy_finding(c, FINDING_WAITING, i,
			       "there is no container \"%s\", and whether it was one is not known: "
			       "%s",
			       name, c->facts->forgotten);
	else if (was_container(c, name))
		policy_finding(c, FINDING_WAITING, i,
			       "there is no container \"%s\" any more; if the rule is meant for "
			       "the host, take \"name\" out",
			       name);
	else
		return false;
	return true;
}

/* No container has this name. A dnat with an interface and ports is written on the host instead. */
static void place_nowhere(struct compiler *c, uint32_t i, const char *container)
{
	const struct policy *p = &c->config->policies.items[i];
	const char *name = config_name(c->config, p->name);

	if (waits_for_container(c, i, container))
		return;
	if (p->nat != NAT_DNAT || !p->iface) {
		policy_finding(c, FINDING_WAITING, i, "name: there is no container \"%s\"", name);
	} else if (!p->n_ports && p->protos & (uint8_t)~PROTO_ICMP) {
		policy_finding(
			c, FINDING_WAITING, i,
			"name: there is no container \"%s\", and on the host this would take "
			"every port of \"%s\", its own ssh too; write \"port\"",
			name, config_name(c->config, p->iface));
	} else {
		policy_finding(c, FINDING_WARNING, i,
			       "name: there is no container \"%s\"; the rule is on the host", name);
		add_place(c, i, NULL);
	}
}

static void place_at_subject(struct compiler *c, uint32_t i, const struct peers *subject)
{
	bool found = false;

	for (uint32_t k = 0; k < subject->n; k++) {
		struct node *node = node_of_address(c, subject->items[k].address);

		if (!node || c->placed[node - c->nodes.list.items] == i + 1)
			continue;
		c->placed[node - c->nodes.list.items] = i + 1;
		add_place(c, i, node);
		found = true;
	}
	if (!found)
		policy_finding(c, FINDING_WAITING, i,
			       "the subject is not a container; give \"name\" or \"iface\"");
}

/*
 * Where a translation lives: in the container that `name` names; without `name` on the host if
 * there is an interface, else in the namespaces of the subject's containers.
 */
static void find_places(struct compiler *c, uint32_t i, const struct resolved *r)
{
	const struct policy *p = &c->config->policies.items[i];
	struct node *node;

	c->places.n = 0;
	if (p->name) {
		node = named_node(c, p->name, r->container);
		if (node)
			add_place(c, i, node);
		else
			place_nowhere(c, i, r->container);
	} else if (p->iface) {
		add_place(c, i, NULL);
	} else {
		place_at_subject(c, i, r->subject);
	}
}

static void compile_nat(struct compiler *c, uint32_t i, const struct resolved *r)
{
	const struct policy *p = &c->config->policies.items[i];

	find_places(c, i, r);
	list_each (place, &c->places) {
		struct node *node = *place;

		if (node && c->engine->up && !node_is_running(node))
			policy_finding(c, FINDING_WAITING, i, "container \"%s\" %s", node->name,
				       node->container ? "is not running" : "does not exist yet");
		if (p->nat == NAT_DNAT)
			translate(c, i, r, node);
		else
			masquerade(c, i, r, node);
	}
	/* translated in the subject's own namespace: its source must be able to reach the subject
	 */
	if (c->places.n && p->nat == NAT_DNAT && p->from && !p->iface && !p->name)
		grant_policy(c, i,
			     (struct ends_of_policy){r->from, r->subject, p->from, p->subject});
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
	if (p->nat != NAT_NO)
		compile_nat(c, i, &r);
	else if (p->from)
		grant_policy(c, i, (struct ends_of_policy){r.from, r.subject, p->from, p->subject});
	else if (p->to)
		compile_towards(c, i, &r);
}

void compile_policies(struct compiler *c)
{
	for (uint32_t i = 0; i < c->config->policies.n; i++)
		compile_policy(c, i);
}
