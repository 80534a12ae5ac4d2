/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds containers whose own routes and rules lead elsewhere than Docker's, such as a tunnel for
 * everything. core/compile/routes.c adds routes for the replies; this reports what these can't
 * repair.
 */
#include "core/compile/impl.h"

#include <string.h>

/* Of "anybody": one in each half of the addresses, for tunnels take the halves. */
static const uint32_t somebody[] = {0x08080808, 0xc6336401};

enum { MOST_QUESTIONS = 1 << 12 }; /* of one container, however many flows it has */

static bool is_seated_by(const struct node *node, uint32_t device)
{
	list_each (seat, &node->seats)
		if (seat->ip.family && routing_device_of(node->routing, seat->ip) == device)
			return true;
	return false;
}

/* By any of its networks: the host is behind all of them. */
static bool comes_to_host(const struct node *node, const struct ip_outlet *outlet)
{
	return outlet->path && outlet->path->type == PATH_LEAVES &&
	       is_seated_by(node, outlet->path->device);
}

bool answers_come_back(const struct node *node, struct ip own, struct prefix peer)
{
	if (!node->routing || !routing_device_of(node->routing, own))
		return true;
	for (size_t i = 0; i < COUNT_OF(somebody); i++) {
		const struct leaving packet = {.src = own,
					       .dst = peer.len ? peer.ip : ip_v4(somebody[i])};
		const struct ip_outlet outlet = routing_find(node->routing, &packet, NULL, 0);

		if (!comes_to_host(node, &outlet))
			return false;
	}
	return true;
}

/* --- what the routes that are wanted don't mend --- */

struct asking {
	struct compiler *c;
	const struct node *node;
	LIST(struct ip_route) ours; /* as they will stand */
	uint32_t said;		    /* the last policy that something was said of */
	uint32_t left;		    /* questions */
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
			    routing_device_name(q->node->routing, outlet->path->device),
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

/* The i-th address to ask by: of everybody, or one that the prefix holds. */
static struct ip one_of(struct prefix peer, size_t i)
{
	if (!peer.len)
		return ip_v4(somebody[i]);
	return prefix_is_single(peer) ? peer.ip : ip_plus(prefix_first(peer), 1);
}

/* An end of a flow: with its own address once the connection stands, without at its beginning. */
static void ask(struct asking *q, uint32_t origin, struct ip own, struct prefix peer, bool opens)
{
	struct ip src = {0};

	if (!opens)
		src = own;
	if (!routing_device_of(q->node->routing, own) || q->said == origin ||
	    node_seat_in(q->node, peer.ip))
		return;
	for (size_t i = 0; i < (peer.len ? 1 : COUNT_OF(somebody)) && q->left; i++, q->left--) {
		const struct leaving packet = {.src = src, .dst = one_of(peer, i)};
		const struct ip_outlet outlet =
			routing_find(q->node->routing, &packet, q->ours.items, q->ours.n);

		if (comes_to_host(q->node, &outlet))
			continue;
		say(q, origin, opens ? "connections" : "answers", peer, own, &outlet);
		return;
	}
}

/* 0: it is not among them; 1: a prefix holds it; 2: it is named itself. */
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

/* Of a prefix that may come, nobody needs to come with this address of his. */
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
		*list_add(q->c->a, &q->ours) = (struct ip_route){
			.dst = route->dst, .table = route->table, .device = route->device};
}

void compile_ways(struct compiler *c, const struct node *node, const struct space *space)
{
	struct asking q = {.c = c, .node = node, .said = NONE, .left = MOST_QUESTIONS};

	bool declared = false;

	imagine(&q, space);
	list_each (seat, &node->seats)
		declared |= seat->declared;
	list_each (seat, &node->seats) {
		if (!seat->ip.family || (declared && !seat->declared))
			continue;
		ask_grants(&q, seat->ip);
		ask_translations(&q, seat->ip);
	}
}
