/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies with nat become translations and masquerading, each in the namespace that it names. */
#include "base/hash.h"
#include "core/compile/impl.h"

#include <netinet/in.h>
#include <string.h>

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

/* A grant for what a translation leads to its target. */
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
static bool is_reached_from(const struct compiler *c, const struct endpoint *endpoint, struct ip to)
{
	uint32_t network = config_network_of(c->config, prefix_of(to));

	return prefix_contains(endpoint->subnet, to) && (network == NONE || !c->apart[network]);
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
				"masquerade is off and there is no from: the host can't tell whose "
				"flow it is and lets nothing through; name the source");
		return;
	}
	list_each (endpoint, &node->endpoints)
		declared |= endpoint->declared && endpoint->ip.family == t->to.family;
	list_each (endpoint, &node->endpoints) {
		if (endpoint->ip.family != t->to.family || (declared && !endpoint->declared) ||
		    is_reached_from(c, endpoint, t->to))
			continue;
		grant_translated(c, one_peer(c, prefix_of(endpoint->ip)), NULL, prefix_of(t->to),
				 match, t->origin);
		routes_need(&c->routes, (struct end){prefix_of(endpoint->ip), node, NONE},
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
	t.keeps = c->config->policies.items[t.origin].masquerade == MASQUERADE_NO;
	flows->ipv6 |= t.to.family == 6;
	if (t.own)
		*list_add(c->a, &flows->own) = t;
	else
		*list_add(c->a, &flows->translations) = t;
}

static void take(struct translation *t, const struct taken *taken)
{
	t->match = traffic_in_family(taken->match, t->to.family);
	t->to_port = taken->to_port;
}

/* masquerade: the sources whose replies only come back if they are masqueraded; else the others. */
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
		list_each (taken, &c->taken) {
			take(&t, taken);
			for (uint32_t s = 0; s < part->n; s++) {
				t.from = part->items[s].net;
				add_translation(c, t, node);
				/* once for a list, or where the container itself is the source */
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
		list_each (taken, &c->taken) {
			take(&t, taken);
			add_translation(c, t, node);
			if (node && !translation_repeats(&t))
				allow_translated(c, node, &t);
		}
	}
}

/* What the host itself begins. */
static void translate_own(struct compiler *c, const struct policy *p, struct translation t)
{
	const struct node *target = nodes_find_ip(&c->nodes, t.to);

	t.iface = NULL;
	t.own = true;
	t.masquerade = host_masquerades(c, p, &t);
	if (t.masquerade && target)
		routes_need_gateway(&c->routes, target, t.to, t.origin);
	list_each (taken, &c->taken) {
		take(&t, taken);
		add_translation(c, t, NULL);
	}
}

/* xt_cluster tells clients of IPv6 apart by less than their address. */
static bool is_coarse(const struct compiler *c, uint8_t family)
{
	return family == 6 && c->facts->backend == BACKEND_IPTABLES;
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
				.list_name =
					name_of_part(c, name_of_list(c, p->from), r->from, from),
				.origin = i};

	t.share.coarse = is_coarse(c, to.family);
	if (r->from->has_host)
		translate_own(c, p, t);
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

/* Nothing is known against it: no container has the address, or its container runs. */
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
 * Each target gets an equal share of the clients. The share of a target that does not run is
 * divided among the others by a second hash, so that their own clients stay where they are.
 */
static void spread(struct compiler *c, uint32_t i, const struct resolved *r, const struct peers *to,
		   struct node *node)
{
	const struct peers *running = running_targets(c, to);

	for (uint32_t k = 0, n = 0; k < to->n && n < running->n; k++) {
		struct ip target = to->items[k].net.ip;

		if (!ip_equal(target, running->items[n].net.ip))
			continue;
		translate_to(c, i, r, target,
			     (struct share){.part = (uint8_t)k, .of = (uint8_t)to->n}, node);
		n++;
	}
	for (uint32_t k = 0; running->n < to->n && k < running->n; k++)
		translate_to(c, i, r, running->items[k].net.ip,
			     (struct share){
				     .part = (uint8_t)k, .of = (uint8_t)running->n, .division = 1},
			     node);
}

/* Each container once, also if several of its addresses are targets. */
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

/* A packet keeps its family: targets of each family are for clients of that family. */
static void translate(struct compiler *c, uint32_t i, const struct resolved *r, struct node *node)
{
	if (r->to->n > 1)
		note_stopped_targets(c, i, r->to);
	each_family (family) {
		const struct peers *to = of_family(c, r->to, family);

		if (to->n > 1 && is_coarse(c, family))
			policy_finding(c, FINDING_NOTE, i,
				       "ip6tables tells clients apart by the first 32 bits of "
				       "their addresses: those of one site have one target; the "
				       "nftables backend spreads them, too");
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

/* node NULL: the host. */
static void add_place(struct compiler *c, uint32_t i, struct node *node)
{
	if (node && node->shares_namespace)
		policy_finding(c, FINDING_CONFLICT, i,
			       "container \"%s\" has no network namespace of its own (--network "
			       "host or container:…)",
			       node->name);
	else
		*list_add(c->a, &c->places) = node;
}

/*
 * A prefix match in the file is a guess: a container of the engine of exactly this name comes
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
		policy_finding(
			c, FINDING_WAITING, i,
			"there is no container \"%s\", and whether it was one is not known: %s",
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
	} else if (!p->n_ports && p->protos & (uint8_t)~PROTOS_OF_ICMP) {
		policy_finding(c, FINDING_WAITING, i,
			       "name: there is no container \"%s\", and on the host this would "
			       "take every port of \"%s\", its own ssh too; write \"port\"",
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
 * there is an interface or the host is the source, else in the namespaces of the subject's
 * containers.
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
	} else if (p->iface || r->from->has_host) {
		add_place(c, i, NULL);
	} else {
		place_at_subject(c, i, r->subject);
	}
}

/* The kernel moves no range of ports by a distance: each port is a translation. */
static void take_mapped(struct compiler *c, const struct policy *p, uint8_t proto, uint32_t r)
{
	const struct port_range range = policy_ports(c->config, p)[r];

	if (policy_target_port(c->config, p, r, range.low) == range.low) {
		*list_add(c->a, &c->taken) = (struct taken){{proto, range.low, range.high}, 0};
		return;
	}
	for (uint32_t port = range.low; port <= range.high; port++)
		*list_add(c->a, &c->taken) =
			(struct taken){{proto, (uint16_t)port, (uint16_t)port},
				       policy_target_port(c->config, p, r, (uint16_t)port)};
}

/* What the policy takes, by its matches. */
static void find_taken(struct compiler *c, const struct policy *p)
{
	const struct port_range *ports = policy_ports(c->config, p);
	uint32_t r = 0;

	c->taken.n = 0;
	list_each (match, &c->matches)
		if (!p->mapped || !match_has_ports(*match)) {
			*list_add(c->a, &c->taken) = (struct taken){*match, p->to_port};
		} else { /* the ranges of each protocol, in their order */
			r = match->low == ports[0].low ? 0 : r + 1;
			take_mapped(c, p, match->proto, r);
		}
}

void compile_nat(struct compiler *c, uint32_t i, const struct resolved *r)
{
	const struct policy *p = &c->config->policies.items[i];

	find_places(c, i, r);
	if (p->nat == NAT_DNAT)
		find_taken(c, p);
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
	/*
	 * translated in the subject's own namespace: its source must be able to reach the subject
	 */
	if (c->places.n && p->nat == NAT_DNAT && p->from && !p->iface && !p->name)
		grant_policy(c, i,
			     (struct ends_of_policy){r->from, r->subject, p->from, p->subject});
}
