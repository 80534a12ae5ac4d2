/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies become flows, each in the namespace where its rules live. Nothing here knows nftables or
 * iptables (core/ruleset/program.c does).
 */
#include "base/hash.h"
#include "core/compile/impl.h"

#include <string.h>

/* IP protocol numbers (IANA), by the place of enum proto's bits. */
static const uint8_t protocol_numbers[] = {
	6,   /* tcp */
	17,  /* udp */
	132, /* sctp */
	1,   /* icmp */
	0,   /* any */
};

static void find_matches(struct compiler *c, const struct policy *p)
{
	const struct port_range *ports = policy_ports(c->config, p);

	c->matches.n = 0;
	for (uint32_t set = p->protos; set; set &= set - 1) {
		struct traffic every = {.proto = protocol_numbers[__builtin_ctz(set)],
					.high = UINT16_MAX};

		if (!match_has_ports(every) || !p->n_ports)
			*list_add(c->a, &c->matches) = every;
		else
			for (uint32_t k = 0; k < p->n_ports; k++)
				*list_add(c->a, &c->matches) =
					(struct traffic){every.proto, ports[k].low, ports[k].high};
	}
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
	return (struct home){.node = NONE, .network = config_network_of(c->config, peer->net)};
}

/* What comes from outside the declared networks may be another Docker network's. */
static void note_guest(struct compiler *c, struct prefix src)
{
	if (!seen_before(&c->seen_guests, c->a, hash_bytes(&src, sizeof(src))))
		*list_add(c->a, &c->guests) = src;
}

/* An address, and the declared network that holds it (NONE: none does). */
struct side {
	struct prefix net;
	uint32_t network;
};

static struct side side_of(const struct compiler *c, struct prefix net)
{
	return (struct side){net, config_network_of(c->config, net)};
}

static void allow(struct compiler *c, struct side src, struct side dst, struct traffic match,
		  uint32_t origin)
{
	if (src.network == NONE)
		note_guest(c, src.net);
	*list_add(c->a, &c->host->allows) = (struct allow){.src = src.net,
							   .dst = dst.net,
							   .match = match,
							   .src_network = src.network,
							   .dst_network = dst.network,
							   .origin = origin};
}

static struct end end_of(const struct compiler *c, const struct peer *peer, struct home home)
{
	if (home.node == NONE)
		return routes_end(&c->nodes, peer->net);
	return (struct end){peer->net, &c->nodes.list.items[home.node],
			    home.seated ? home.network : NONE};
}

/* Flows within one managed network never pass the host's forward path. */
static void allow_pair(struct compiler *c, uint32_t i, const struct peer *src,
		       const struct peer *dst)
{
	struct home from = home_of(c, src), to = home_of(c, dst);

	if (src->net.ip.family != dst->net.ip.family ||
	    (from.network != NONE && from.network == to.network))
		return;
	list_each (match, &c->matches)
		allow(c, (struct side){src->net, from.network}, (struct side){dst->net, to.network},
		      *match, i);
	if (!routes_know(&c->routes, from, to))
		routes_need(&c->routes, end_of(c, src, from), end_of(c, dst, to), i);
}

static void allow_policy(struct compiler *c, uint32_t i, const struct resolved *r)
{
	for (uint32_t s = 0; s < r->from->n; s++)
		for (uint32_t d = 0; d < r->subject->n; d++)
			allow_pair(c, i, &r->from->items[s], &r->subject->items[d]);
}

/* What a translating container sends to the target is the container's own traffic. */
static void allow_translated(struct compiler *c, const struct node *node,
			     const struct translation *t)
{
	struct traffic match = translated(t->match, t->to_port);
	bool declared = false;

	if (!t->masquerade) {
		if (t->from.ip.family)
			allow(c, side_of(c, t->from), side_of(c, prefix_of(t->to)), match,
			      t->origin);
		else
			policy_finding(
				c, FINDING_WARNING, t->origin,
				"masquerade is off and there is no from: the host can't tell "
				"whose flow it is and lets nothing through; name the source");
		return;
	}
	list_each (seat, &node->seats)
		declared |= seat->declared;
	list_each (seat, &node->seats) {
		if (!seat->ip.family || (declared && !seat->declared) ||
		    prefix_contains(seat->subnet, t->to))
			continue;
		allow(c, side_of(c, prefix_of(seat->ip)), side_of(c, prefix_of(t->to)), match,
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
	return node &&
	       (!node_has_default_route(node) || !answers_come_back(node, t->to, t->from));
}

static void note_hairpin(struct compiler *c, const struct policy *p, struct ip to)
{
	if (p->masquerade == MASQUERADE_NO)
		return;
	list_each (n, &c->config->networks)
		if (prefix_contains(n->subnet, to) &&
		    (!p->iface || !strcmp(config_name(c->config, p->iface), n->bridge_name)))
			*list_add(c->a, &c->host->hairpins) = n->subnet;
}

/* One translation for every source (or one for anybody) and every match. */
static void translate(struct compiler *c, uint32_t i, const struct resolved *r, struct node *node)
{
	const struct policy *p = &c->config->policies.items[i];
	struct flows *flows = node ? &c->of_node[node - c->nodes.list.items] : c->host;
	uint32_t n_from = p->from ? r->from->n : 1;
	struct translation t = {.iface = config_name(c->config, p->iface),
				.to = r->to->items[0].net.ip,
				.origin = i};

	t.to_port = p->to_port;
	for (uint32_t s = 0; s < n_from; s++) {
		if (p->from)
			t.from = r->from->items[s].net;
		if (p->from && !t.from.len)
			t.from = (struct prefix){0}; /* any */
		t.masquerade = node ? p->masquerade != MASQUERADE_NO : host_masquerades(c, p, &t);
		if (!node && t.masquerade && nodes_find_ip(&c->nodes, t.to))
			routes_need_gateway(&c->routes, nodes_find_ip(&c->nodes, t.to), t.to, i);
		list_each (match, &c->matches) {
			t.match = *match;
			*list_add(c->a, &flows->translations) = t;
			if (node)
				allow_translated(c, node, &t);
		}
	}
	if (!node)
		note_hairpin(c, p, t.to);
}

static void masquerade(struct compiler *c, uint32_t i, const struct resolved *r, struct node *node)
{
	const struct policy *p = &c->config->policies.items[i];
	struct flows *flows = node ? &c->of_node[node - c->nodes.list.items] : c->host;
	const struct peers *from = p->from ? r->from : r->subject;
	struct masquerading m = {.oface = config_name(c->config, p->iface), .origin = i};
	struct traffic every = {.high = UINT16_MAX};
	bool narrowed = p->n_ports || p->protos != PROTO_TCP;

	/* "proto" defaults to tcp for what is let in; masquerading without ports means everything
	 */
	for (uint32_t s = 0; s < (from->n ? from->n : 1); s++)
		for (uint32_t d = 0; d < (r->to->n ? r->to->n : 1); d++) {
			m.from = from->n ? from->items[s].net : (struct prefix){0};
			m.to = r->to->n ? r->to->items[d].net : (struct prefix){0};
			if (node && m.from.ip.family && nodes_find_ip(&c->nodes, m.from.ip) == node)
				m.from = (struct prefix){0}; /* its own traffic: all of it */
			m.match = every;
			if (!narrowed)
				*list_add(c->a, &flows->masquerades) = m;
			else
				list_each (match, &c->matches) {
					m.match = *match;
					*list_add(c->a, &flows->masquerades) = m;
				}
		}
}

/*
 * Where a translation lives: in the container that `name` names; without `name` on the host if
 * there is an interface, else in the subject's namespace. False: nowhere yet.
 */
static bool place(struct compiler *c, uint32_t i, const struct resolved *r, struct node **node)
{
	const struct policy *p = &c->config->policies.items[i];

	*node = NULL;
	if (p->name) {
		*node = nodes_find(&c->nodes, r->container);
		if (!*node)
			policy_finding(
				c, FINDING_WARNING, i,
				"name: there is no container \"%s\"; the rule is on the host",
				config_name(c->config, p->name));
	} else if (!p->iface) {
		*node = r->subject->n ? node_of_address(c, r->subject->items[0].address) : NULL;
		if (!*node) {
			policy_finding(c, FINDING_WAITING, i,
				       "the subject is no container; give \"name\" or \"iface\"");
			return false;
		}
	}
	if (*node && (*node)->shares_namespace) {
		policy_finding(c, FINDING_CONFLICT, i,
			       "container \"%s\" has no network namespace of its own "
			       "(--network host or container:…)",
			       (*node)->name);
		return false;
	}
	return true;
}

static void compile_policy(struct compiler *c, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];
	const struct resolved r = resolved_policy(c->resolution, c->config, p);
	struct node *node = NULL;

	if (r.waiting) {
		policy_finding(c, FINDING_WAITING, i, "%s: nothing in the file is named \"%s\"",
			       r.waiting, r.missing);
		return;
	}
	find_matches(c, p);
	if (p->nat == NAT_NO) {
		if (p->from)
			allow_policy(c, i, &r);
		return;
	}
	if (!place(c, i, &r, &node))
		return;
	if (node && c->engine->up && !node_is_running(node))
		policy_finding(c, FINDING_WAITING, i, "container \"%s\" %s", node->name,
			       node->container ? "is not running" : "does not exist yet");
	if (p->nat == NAT_DNAT)
		translate(c, i, &r, node);
	else
		masquerade(c, i, &r, node);
	/* translated in the subject's own namespace: its source must be able to reach the subject
	 */
	if (p->nat == NAT_DNAT && p->from && !p->iface && !p->name)
		allow_policy(c, i, &r);
}

enum { AHEAD = 8 }; /* policies; twice that for what is needed to know what is needed */

/* Memory is far: what a policy needs is on its way while others are compiled. */
static void look_ahead(const struct compiler *c, uint32_t i)
{
	const struct config *config = c->config;
	const struct peers *from, *subject;
	const struct policy *p;

	if (i + 2 * AHEAD >= config->policies.n)
		return;
	p = &config->policies.items[i + AHEAD];
	resolved_prefetch(c->resolution, p + AHEAD);
	from = c->resolution->peers[ASK_PEERS][p->from];
	subject = c->resolution->peers[ASK_SUBJECT][p->subject];
	if (from && from->n && from->items->address != NONE && subject && subject->n &&
	    subject->items->address != NONE)
		routes_prefetch(&c->routes, c->nodes.of_address[from->items->address],
				c->nodes.of_address[subject->items->address]);
}

void compile_policies(struct compiler *c)
{
	for (uint32_t i = 0; i < c->config->policies.n; i++) {
		look_ahead(c, i);
		compile_policy(c, i);
	}
}
