/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies become flows, each in the namespace where its rules live; networks and addresses become
 * networks and attachments. Nothing here knows nftables or iptables (core/program.c does).
 */
#include "core/compile.h"

#include "core/flows.h"
#include "core/nodes.h"
#include "core/routes.h"

#include <stdio.h>
#include <string.h>

struct compiler {
	struct arena *a;
	const struct config *config;
	const struct resolution *resolution;
	const struct engine *engine;
	const struct facts *facts;
	struct nodes nodes;
	struct flows *host;
	struct flows *of_node; /* one per node */
	struct routes routes;
	struct findings *findings;
};

const char *const finding_names[] = {
	[FINDING_WAITING] = "waiting",
	[FINDING_CONFLICT] = "conflict",
	[FINDING_WARNING] = "warning",
	[FINDING_NOTE] = "note",
};

/* The IP protocol numbers of a policy's protocols, in order of their bits. */
static const struct {
	uint8_t bit, number;
} protocols[] = {
	{PROTO_TCP, 6}, {PROTO_UDP, 17}, {PROTO_SCTP, 132}, {PROTO_ICMP, 1}, {PROTO_ANY, 0},
};

struct finding *finding_add(struct findings *f, struct arena *a, enum finding_kind kind,
			    uint32_t origin, const char *subject, const char *format, ...)
{
	struct finding *finding = list_add(a, &f->list);
	va_list args;

	finding->kind = kind;
	finding->origin = origin;
	finding->subject = subject;
	va_start(args, format);
	finding->text = arena_vprintf(a, format, args);
	va_end(args);
	return finding;
}

#define policy_finding(c, kind, i, ...)                                                            \
	finding_add((c)->findings, (c)->a, kind, i, arena_printf((c)->a, "policies[%u]", i),       \
		    __VA_ARGS__)

/* Every (protocol, port range) of a policy. */
typedef LIST(struct traffic) match_list;

static match_list policy_matches(struct compiler *c, const struct policy *p)
{
	match_list matches = {0};

	for (size_t i = 0; i < COUNT_OF(protocols); i++) {
		struct traffic every = {.proto = protocols[i].number, .high = UINT16_MAX};

		if (!(p->protos & protocols[i].bit))
			continue;
		if (!match_has_ports(every) || !p->ports.n)
			*list_add(c->a, &matches) = every;
		else
			list_each (range, &p->ports)
				*list_add(c->a, &matches) =
					(struct traffic){every.proto, range->low, range->high};
	}
	return matches;
}

/* The ports as the target sees them. */
static struct traffic translated(struct traffic match, uint16_t to_port)
{
	if (to_port && match_has_ports(match))
		match.low = match.high = to_port;
	return match;
}

/* The network that holds a peer, NONE if it lies in no managed one. */
static uint32_t network_of(const struct compiler *c, const struct peer *peer)
{
	if (peer->address != NONE)
		return c->config->addresses.items[peer->address].network;
	for (uint32_t i = 0; i < c->config->networks.n; i++)
		if (prefix_covers(c->config->networks.items[i].subnet, peer->net))
			return i;
	return NONE;
}

/* Flows within one managed network never pass the host's forward path. */
static bool in_one_network(const struct compiler *c, const struct peer *src, const struct peer *dst)
{
	uint32_t network = network_of(c, dst);

	return network != NONE && network == network_of(c, src);
}

static bool is_tied(const struct compiler *c, struct prefix subnet)
{
	list_each (old, &c->host->tied)
		if (prefix_overlaps(old->subnet, subnet))
			return true;
	return false;
}

static void allow(struct compiler *c, struct prefix src, struct prefix dst, struct traffic match,
		  uint32_t origin)
{
	*list_add(c->a, &c->host->allows) = (struct allow){src, dst, match, origin};
}

static void allow_policy(struct compiler *c, uint32_t i, const match_list *matches)
{
	const struct resolved *r = &c->resolution->policies[i];

	for (uint32_t s = 0; s < r->from.n; s++)
		for (uint32_t d = 0; d < r->subject.n; d++) {
			const struct peer *src = &r->from.items[s], *dst = &r->subject.items[d];

			if (src->net.ip.family != dst->net.ip.family || in_one_network(c, src, dst))
				continue;
			list_each (match, matches)
				allow(c, src->net, dst->net, *match, i);
			routes_need(&c->routes, &c->nodes, src->net, dst->net, i);
		}
}

/* What a translating container sends to the target is the container's own traffic. */
static void allow_translated(struct compiler *c, const struct node *node,
			     const struct translation *t)
{
	struct traffic match = translated(t->match, t->to_port);
	bool declared = false;

	if (!t->masquerade) {
		if (t->from.ip.family)
			allow(c, t->from, prefix_of(t->to), match, t->origin);
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
		allow(c, prefix_of(seat->ip), prefix_of(t->to), match, t->origin);
		routes_need(&c->routes, &c->nodes, prefix_of(seat->ip), prefix_of(t->to),
			    t->origin);
	}
}

/* On the host only where the reply would not come back. */
static bool host_masquerades(struct compiler *c, const struct policy *p, struct ip to)
{
	const struct node *node = nodes_find_ip(&c->nodes, to);

	if (p->masquerade != MASQUERADE_AUTO)
		return p->masquerade == MASQUERADE_YES;
	return node && !node_has_default_route(node);
}

static void note_hairpin(struct compiler *c, const struct policy *p, struct ip to)
{
	if (p->masquerade == MASQUERADE_NO)
		return;
	list_each (n, &c->config->networks)
		if (prefix_contains(n->subnet, to) &&
		    (!p->iface || !strcmp(p->iface, n->bridge_name)))
			*list_add(c->a, &c->host->hairpins) = n->subnet;
}

/* One translation for every source (or one for anybody) and every match. */
static void translate(struct compiler *c, uint32_t i, struct node *node, const match_list *matches)
{
	const struct policy *p = &c->config->policies.items[i];
	const struct resolved *r = &c->resolution->policies[i];
	struct flows *flows = node ? &c->of_node[node - c->nodes.list.items] : c->host;
	uint32_t n_from = p->from ? r->from.n : 1;
	struct translation t = {.iface = p->iface, .to = r->to.items[0].net.ip, .origin = i};

	t.to_port = p->to_port;
	t.masquerade = node ? p->masquerade != MASQUERADE_NO : host_masquerades(c, p, t.to);
	for (uint32_t s = 0; s < n_from; s++) {
		if (p->from)
			t.from = r->from.items[s].net;
		if (p->from && !t.from.len)
			t.from = (struct prefix){0}; /* any */
		list_each (match, matches) {
			t.match = *match;
			*list_add(c->a, &flows->translations) = t;
			if (node)
				allow_translated(c, node, &t);
		}
	}
	if (!node)
		note_hairpin(c, p, t.to);
}

static void masquerade(struct compiler *c, uint32_t i, struct node *node, const match_list *matches)
{
	const struct policy *p = &c->config->policies.items[i];
	const struct resolved *r = &c->resolution->policies[i];
	struct flows *flows = node ? &c->of_node[node - c->nodes.list.items] : c->host;
	const struct peers *from = p->from ? &r->from : &r->subject;
	struct masquerading m = {.oface = p->iface, .origin = i};
	struct traffic every = {.high = UINT16_MAX};
	bool narrowed = p->ports.n || p->protos != PROTO_TCP;

	/* "proto" defaults to tcp for what is let in; masquerading without ports means everything
	 */
	for (uint32_t s = 0; s < (from->n ? from->n : 1); s++)
		for (uint32_t d = 0; d < (r->to.n ? r->to.n : 1); d++) {
			m.from = from->n ? from->items[s].net : (struct prefix){0};
			m.to = r->to.n ? r->to.items[d].net : (struct prefix){0};
			if (node && m.from.ip.family && nodes_find_ip(&c->nodes, m.from.ip) == node)
				m.from = (struct prefix){0}; /* its own traffic: all of it */
			m.match = every;
			if (!narrowed)
				*list_add(c->a, &flows->masquerades) = m;
			else
				list_each (match, matches) {
					m.match = *match;
					*list_add(c->a, &flows->masquerades) = m;
				}
		}
}

/* The container that an address of the file belongs to; NULL: none. */
static struct node *node_of_address(const struct compiler *c, uint32_t address)
{
	uint32_t node = address == NONE ? NONE : c->nodes.of_address[address];

	return node == NONE ? NULL : &c->nodes.list.items[node];
}

/*
 * Where a translation lives: in the container that `name` names; without `name` on the host if
 * there is an interface, else in the subject's namespace. False: nowhere yet.
 */
static bool place(struct compiler *c, uint32_t i, struct node **node)
{
	const struct policy *p = &c->config->policies.items[i];
	const struct resolved *r = &c->resolution->policies[i];

	*node = NULL;
	if (p->name) {
		*node = nodes_find(&c->nodes, r->container);
		if (!*node)
			policy_finding(
				c, FINDING_WARNING, i,
				"name: there is no container \"%s\"; the rule is on the host",
				p->name);
	} else if (!p->iface) {
		*node = r->subject.n ? node_of_address(c, r->subject.items[0].address) : NULL;
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
	const struct resolved *r = &c->resolution->policies[i];
	match_list matches;
	struct node *node = NULL;

	if (r->waiting) {
		policy_finding(c, FINDING_WAITING, i, "%s", r->waiting);
		return;
	}
	matches = policy_matches(c, p);
	if (p->nat == NAT_NO) {
		if (p->from)
			allow_policy(c, i, &matches);
		return;
	}
	if (!place(c, i, &node))
		return;
	if (node && c->engine->up && !node_is_running(node))
		policy_finding(c, FINDING_WAITING, i, "container \"%s\" %s", node->name,
			       node->container ? "is not running" : "does not exist yet");
	if (p->nat == NAT_DNAT)
		translate(c, i, node, &matches);
	else
		masquerade(c, i, node, &matches);
	/* translated in the subject's own namespace: its source must be able to reach the subject
	 */
	if (p->nat == NAT_DNAT && p->from && !p->iface && !p->name)
		allow_policy(c, i, &matches);
}

static bool is_source(const struct compiler *c, struct prefix subnet)
{
	list_each (flow, &c->host->allows)
		if (prefix_overlaps(subnet, flow->src))
			return true;
	return false;
}

/* The interface of a declared network, as it is or as it will be. */
static const char *bridge_of(const struct compiler *c, const struct network *network)
{
	const struct engine_network *e = engine_find_network(c->engine, network->name);

	return e && e->bridge ? e->bridge : network->bridge_name;
}

/* Subnets whose addresses are sources of ours: only their own bridge may send them. */
static void compile_tied(struct compiler *c)
{
	list_each (network, &c->config->networks)
		*list_add(c->a, &c->host->tied) =
			(struct tied){network->subnet, bridge_of(c, network)};
	list_each (network, &c->engine->networks)
		if (network->bridge && network->subnet.ip.family == 4 &&
		    !is_tied(c, network->subnet) && is_source(c, network->subnet))
			*list_add(c->a, &c->host->tied) =
				(struct tied){prefix_canonical(network->subnet), network->bridge};
}

/* Nobody writes Docker's drops, or they were flushed: ours stand in. */
static void compile_closed(struct compiler *c)
{
	if (c->facts->docker_drops)
		return;
	list_each (network, &c->config->networks)
		if (network->isolation != ISOLATION_OPEN)
			*list_add(c->a, &c->host->closed) =
				(struct closed){bridge_of(c, network), network->internal};
	if (c->host->closed.n && c->facts->open_why)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host",
			    "%s; harborwall closes its networks itself", c->facts->open_why);
}

/* --- Docker's nf_tables backend --- */

#define TRUSTED "com.docker.network.bridge.trusted_host_interfaces"

enum { FIRST_WITH_TRUST = 28 }; /* Docker Engine */

static const char *trusted_by(const struct engine_network *network)
{
	list_each (option, &network->options)
		if (!strcmp(option->name, TRUSTED))
			return option->value;
	return "";
}

/* The network that an address will be on: its engine name, bridge and index in the file. */
struct place {
	const char *network, *bridge;
	uint32_t index; /* of config->networks, or NONE */
};

static struct place place_of_address(const struct compiler *c, struct prefix prefix)
{
	for (uint32_t i = 0; i < c->config->networks.n; i++)
		if (prefix_covers(c->config->networks.items[i].subnet, prefix))
			return (struct place){c->config->networks.items[i].name,
					      bridge_of(c, &c->config->networks.items[i]), i};
	list_each (e, &c->engine->networks)
		if (e->bridge && prefix_covers(e->subnet, prefix))
			return (struct place){e->name, e->bridge, NONE};
	return (struct place){.index = NONE};
}

static void trust(struct compiler *c, const char **trusted, struct place who, struct place whom)
{
	const char **list;

	if (who.index == NONE || !whom.bridge)
		return;
	list = &trusted[who.index];
	if (*list && text_lists(*list, ':', whom.bridge))
		return;
	*list = *list ? arena_printf(c->a, "%s:%s", *list, whom.bridge) : whom.bridge;
}

/* A network that stands keeps the trust that it was made with. */
static bool lacks_trust(const struct compiler *c, struct place who, struct place whom)
{
	const struct engine_network *e = engine_find_network(c->engine, who.network);

	return e && !text_lists(trusted_by(e), ':', whom.bridge);
}

static void say_what_lacks_trust(struct compiler *c, uint32_t origin, struct place who,
				 struct place whom)
{
	if (!who.network || !whom.bridge || !lacks_trust(c, who, whom))
		return;
	policy_finding(c, FINDING_CONFLICT, origin,
		       "cannot be enforced: network \"%s\" drops what comes in by %s; create it "
		       "with the option " TRUSTED "=%s, or start dockerd with "
		       "--allow-direct-routing",
		       who.network, whom.bridge, whom.bridge);
}

static bool declares_trust(const struct network *network)
{
	list_each (option, &network->options)
		if (!strcmp(option->name, TRUSTED))
			return true;
	return false;
}

/* Docker's raw drops are lifted, one bridge for another, for exactly those that exchange packets.
 */
static void compile_trust(struct compiler *c, struct state *want)
{
	const char **trusted = arena_array(c->a, const char *, c->config->networks.n + 1);
	uint32_t said = NONE;

	if (c->engine->major < FIRST_WITH_TRUST)
		return;
	list_each (flow, &c->host->allows) {
		struct place src = place_of_address(c, flow->src);
		struct place dst = place_of_address(c, flow->dst);

		trust(c, trusted, src, dst);
		trust(c, trusted, dst, src);
		if (!c->facts->docker_nftables || flow->origin == said)
			continue;
		said = flow->origin;
		say_what_lacks_trust(c, flow->origin, src, dst);
		say_what_lacks_trust(c, flow->origin, dst, src);
	}
	for (uint32_t i = 0; i < c->config->networks.n; i++)
		if (trusted[i] && !declares_trust(&c->config->networks.items[i]))
			*list_add(c->a, &want->networks.items[i].options) =
				(struct pair){TRUSTED, trusted[i]};
}

static void compile_mark(struct compiler *c)
{
	uint32_t said = NONE;

	if (!c->facts->docker_nftables || c->facts->takes_mark)
		return;
	list_each (flow, &c->host->allows) {
		if (flow->origin == said)
			continue;
		said = flow->origin;
		policy_finding(c, FINDING_CONFLICT, said,
			       "cannot be enforced: Docker's nftables backend takes no mark; start "
			       "dockerd with --bridge-accept-fwmark=0x%x/0x%x",
			       c->facts->mark_accept, c->facts->mark_accept);
	}
}

/* Docker puts a bridge into a zone when it makes it: before that there is nothing to say. */
static bool is_to_be_made(const struct compiler *c, struct place place)
{
	return c->engine->up && place.network && !engine_find_network(c->engine, place.network);
}

/* What firewalld refuses, whatever we admit; said once a policy. */
static void compile_firewalld(struct compiler *c)
{
	uint32_t said = NONE;

	if (!c->facts->firewalld.refuses)
		return;
	list_each (flow, &c->host->allows) {
		struct place src = place_of_address(c, flow->src);
		struct place dst = place_of_address(c, flow->dst);
		const char *in = src.bridge, *out = dst.bridge;

		if (flow->origin == said || is_to_be_made(c, src) || is_to_be_made(c, dst) ||
		    firewalld_forwards(&c->facts->firewalld, in, out))
			continue;
		said = flow->origin;
		if (in)
			policy_finding(c, FINDING_WARNING, said,
				       "firewalld refuses what comes in by %s; firewall-cmd "
				       "--permanent --zone=trusted --add-interface=%s && "
				       "firewall-cmd --reload",
				       in, in);
		else
			policy_finding(
				c, FINDING_WARNING, said,
				"firewalld refuses what comes from outside to %s; give it a "
				"policy from ANY to that bridge's zone with target ACCEPT, as "
				"Docker does from 23 on (harborwall.8, FIREWALLD)",
				out ? out : prefix_format(flow->dst).s);
	}
}

static void compile_attachments(struct compiler *c, struct state *want)
{
	for (uint32_t i = 0; i < c->config->addresses.n; i++) {
		const struct address *address = &c->config->addresses.items[i];
		const struct node *node = node_of_address(c, i);
		struct attachment *at;

		if (!node || address->network == NONE)
			continue;
		at = list_add(c->a, &want->attachments);
		at->container = node->name;
		at->container_id = node->container ? node->container->id : NULL;
		at->network = c->config->networks.items[address->network].name;
		at->ip = address->ip;
		at->address = i;
	}
}

static void compile_host(struct compiler *c, struct space *host)
{
	const struct facts *f = c->facts;

	host->reachable = true;
	host->flows = c->host;
	if (f->backend == BACKEND_IPTABLES)
		ipt_program_host(&host->chains, c->a, c->host, f);
	else
		program_host(&host->ruleset, c->a, c->host, f);
	host->forward = c->config->networks.n || c->config->policies.n;
	/* Docker sets DROP only if it turned forwarding on itself; whoever turns it on closes it */
	host->forward_drop = host->forward && f->ip_forward == 0 && f->docker_user;
	if (!host->ruleset.exists || f->variant == VARIANT_NONE)
		return;
	*list_add(c->a, &host->handoffs) =
		(struct handoff){.variant = f->variant,
				 .table = "filter",
				 .chain = f->docker_user ? "DOCKER-USER" : "FORWARD",
				 .bits = f->mark_accept};
	if (f->raw_drops)
		*list_add(c->a, &host->handoffs) = (struct handoff){.variant = f->variant,
								    .table = "raw",
								    .chain = "PREROUTING",
								    .bits = f->mark_raw};
}

static void compile_containers(struct compiler *c, struct state *want)
{
	for (uint32_t i = 0; i < c->nodes.list.n; i++) {
		const struct node *node = &c->nodes.list.items[i];
		struct space space = {.container = node->name, .flows = &c->of_node[i]};

		if (c->facts->backend == BACKEND_IPTABLES)
			ipt_program_container(&space.chains, c->a, &c->of_node[i], c->facts);
		else
			program_container(&space.ruleset, c->a, &c->of_node[i]);
		routes_of(&c->routes, i, c->a, &space);
		space.forward = space.ruleset.exists || space.chains.n;
		if (!space.forward && !space.routes.n)
			continue;
		if (node->container) {
			space.container_id = node->container->id;
			space.pid = node->container->running ? node->container->pid : 0;
		}
		*list_add(c->a, &want->spaces) = space;
	}
}

void compile(struct state *want, struct findings *findings, struct arena *a,
	     const struct config *config, const struct resolution *resolution,
	     const struct engine *engine, const struct facts *facts)
{
	struct compiler c = {.a = a,
			     .config = config,
			     .resolution = resolution,
			     .engine = engine,
			     .facts = facts,
			     .findings = findings};

	c.host = arena_array(a, struct flows, 1);
	nodes_build(&c.nodes, a, config, resolution, engine);
	c.of_node = arena_array(a, struct flows, c.nodes.list.n);
	c.routes = routes_new(a, c.nodes.list.n);
	for (uint32_t i = 0; i < config->policies.n; i++)
		compile_policy(&c, i);
	compile_tied(&c);
	compile_closed(&c);

	list_each (network, &config->networks)
		*list_add(a, &want->networks) = *network;
	compile_trust(&c, want);
	compile_mark(&c);
	compile_firewalld(&c);
	compile_attachments(&c, want);
	compile_host(&c, list_add(a, &want->spaces));
	compile_containers(&c, want);
}
