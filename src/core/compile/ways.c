/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds containers whose own routes and rules lead elsewhere than Docker's, such as a tunnel for
 * everything. core/compile/routes.c adds routes for the replies; this reports what these can't
 * repair.
 */
#include "core/compile/impl.h"

#include <string.h>

/*
 * Of "anybody": one in each half of the addresses, for tunnels take the halves. Of IPv6 it is the
 * halves of what is global.
 */
enum { N_SOMEBODIES = 2 };
static const struct ip somebody[N_FAMILIES][N_SOMEBODIES] = {
	[FAMILY_4] = {{4, {8, 8, 8, 8}}, {4, {0xc6, 0x33, 0x64, 0x01}}},
	[FAMILY_6] = {{6, {0x20, 0x01, 0x48, 0x60, 0x48, 0x60, [15] = 0x88}},
		      {6, {0x3f, 0xff, [15] = 0x01}}}};

enum { MOST_QUESTIONS = 1 << 12 }; /* of one container, however many flows it has */

static bool has_endpoint_by(const struct node *node, uint8_t family, uint32_t device)
{
	const struct routing *routing = node_routing(node, family);

	list_each (endpoint, &node->endpoints)
		if (endpoint->ip.family == family &&
		    routing_device_of(routing, endpoint->ip) == device)
			return true;
	return false;
}

/* The packet leaves by one of its Docker networks, and the host is behind all of these. */
static bool comes_to_host(const struct node *node, const struct ip_outlet *outlet)
{
	return outlet->path && outlet->path->type == PATH_LEAVES &&
	       has_endpoint_by(node, outlet->path->dst.ip.family, outlet->path->device);
}

bool answers_come_back(const struct node *node, struct ip own, struct prefix peer)
{
	const struct routing *routing = node_routing(node, own.family);

	if (!routing || !routing_device_of(routing, own))
		return true;
	for (size_t i = 0; i < N_SOMEBODIES; i++) {
		const struct leaving packet = {
			.src = own, .dst = peer.len ? peer.ip : somebody[ip_family(own)][i]};
		const struct ip_outlet outlet = routing_find(routing, &packet, NULL, 0);

		if (!comes_to_host(node, &outlet))
			return false;
	}
	return true;
}

/* --- what the routes that are wanted don't mend --- */

struct asking {
	struct compiler *c;
	const struct node *node;
	const struct routing *routing; /* of the family that is asked about */
	LIST(struct ip_route) ours;    /* as they will stand */
	uint32_t said;		       /* the last policy with a finding: one for each is enough */
	uint32_t left;		       /* questions */
};

/* Where a packet leaves, in words. */
static const char *words_of(const struct asking *q, const struct ip_outlet *outlet)
{
	struct arena *a = q->c->a;

	if (!outlet->rule)
		return "have no route";
	if (!outlet->path)
		return arena_printf(a, "are refused by its rule %u", outlet->rule->priority);
	if (outlet->path->type == PATH_REFUSES)
		return arena_printf(a, "are refused by a route of its table %u",
				    outlet->path->table);
	return arena_printf(a, "leave by %s (rule %u, table %u)",
			    routing_device_name(q->routing, outlet->path->device),
			    outlet->rule->priority, outlet->path->table);
}

static void say(struct asking *q, uint32_t origin, const char *what, struct prefix peer,
		struct ip own, const struct ip_outlet *outlet)
{
	q->said = origin;
	policy_finding(q->c, FINDING_CONFLICT, origin,
		       CANNOT "%s of container \"%s\" to %s %s, not by the network of %s; %s", what,
		       q->node->name, peer.len ? prefix_format(peer).s : "anybody",
		       words_of(q, outlet), ip_format(own).s,
		       peer.len ? "its own routes and rules must let them"
				: "name the sources in \"from\"");
}

/* An address of the peer for the look-up; if anybody may be the peer, the i-th sample. */
static struct ip one_of(struct prefix peer, struct ip own, size_t i)
{
	if (!peer.len)
		return somebody[ip_family(own)][i];
	return prefix_is_single(peer) ? peer.ip : ip_plus(prefix_first(peer), 1);
}

/* An end of a flow: with its own address once the connection stands, without at its beginning. */
static void ask(struct asking *q, uint32_t origin, struct ip own, struct prefix peer, bool opens)
{
	struct ip src = {0};

	if (!opens)
		src = own;
	if (!routing_device_of(q->routing, own) || q->said == origin ||
	    node_endpoint_in(q->node, peer.ip))
		return;
	for (size_t i = 0; i < (peer.len ? 1 : N_SOMEBODIES) && q->left; i++, q->left--) {
		const struct leaving packet = {.src = src, .dst = one_of(peer, own, i)};
		const struct ip_outlet outlet =
			routing_find(q->routing, &packet, q->ours.items, q->ours.n);

		if (comes_to_host(q->node, &outlet))
			continue;
		say(q, origin, opens ? "connections" : "answers", peer, own, &outlet);
		return;
	}
}

/* How precisely the peers name the address. 0: not at all; 1: by a prefix; 2: as itself. */
static int place_among(const struct peers *peers, struct ip ip)
{
	int place = 0;

	for (uint32_t i = 0; i < peers->n && place < 2; i++)
		if (prefix_contains(peers->items[i].net, ip))
			place = prefix_is_single(peers->items[i].net) ? 2 : 1;
	return place;
}

static void ask_all(struct asking *q, uint32_t origin, struct ip own, const struct peers *peers,
		    bool opens)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (!opens || peers->items[i].net.len)
			ask(q, origin, own, peers->items[i].net, opens);
}

/* A prefix may be a source without any of the container's addresses being meant. */
static void ask_grants(struct asking *q, struct ip own)
{
	list_each (grant, &q->c->host->grants) {
		if (place_among(grant->to, own))
			ask_all(q, grant->origin, own, grant->from, false);
		if (place_among(grant->from, own) == 2)
			ask_all(q, grant->origin, own, grant->to, true);
	}
}

static void ask_translations(struct asking *q, struct ip own)
{
	list_each (t, &q->c->host->translations)
		if (ip_equal(t->to, own) && !t->masquerade)
			ask(q, t->origin, own, t->from, false);
}

static void imagine(struct asking *q, const struct space *space)
{
	list_each (route, &space->routes)
		*list_add(q->c->a, &q->ours) =
			(struct ip_route){.dst = route->dst,
					  .table = route->table,
					  .metric = route->dst.ip.family == 6 ? USUAL_METRIC6 : 0,
					  .device = route->device};
}

void compile_ways(struct compiler *c, const struct node *node, const struct space *space)
{
	struct asking q = {.c = c, .node = node, .said = NONE, .left = MOST_QUESTIONS};

	bool declared = false;

	imagine(&q, space);
	list_each (endpoint, &node->endpoints)
		declared |= endpoint->declared;
	list_each (endpoint, &node->endpoints) {
		q.routing = node_routing(node, endpoint->ip.family);
		if (!endpoint->ip.family || !q.routing || (declared && !endpoint->declared))
			continue;
		ask_grants(&q, endpoint->ip);
		ask_translations(&q, endpoint->ip);
	}
}
