/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds policies that other people's rules stop, on the host and in namespaces that translate. The
 * first packet of each flow, and the reply, is checked against every wall on its way. Reported if
 * it is certain, or if a chain drops whatever it does not accept.
 */
#include "core/compile/nodes.h"
#include "core/flows/flows.h"
#include "core/plan/impl.h"

#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

enum { OUR_PRIORITY = -10 };	/* of our chain that sets the mark */
enum { MOST_LOOKS = 20000000 }; /* rules compared, for one wall */
enum { FEW_RULES = 64 };	/* not worth an index */

struct examiner {
	struct differ *d;
	const struct space *have;
	const struct flows *flows;
	const char **bridges; /* of the declared networks */
	interfaces engine;    /* bridges of all the engine's networks */
	LIST(struct ip)
	addresses; /* single addresses that are ends of flows, sorted, if looked for */
	bool has_addresses;
	const struct wall *wall;
	uint64_t looks;
	uint32_t said; /* the policy that was reported last */
};

/* A flow when it reaches a wall. */
struct course {
	struct packet first, reply;
	bool from_outside;
	uint32_t origin;
};

/* --- which walls matter --- */

static bool hands_over_here(const struct wall *wall, const struct facts *f)
{
	bool six = wall->family == NFPROTO_IPV6;

	if (!strcmp(wall->table, "raw"))
		return (six ? f->six.raw_drops : f->raw_drops) && !f->handoff_top;
	return (six ? f->six.docker_user : f->docker_user) &&
	       !(wall->from_outside && f->handoff_top);
}

static enum variant our_variant(const struct wall *wall, const struct facts *f)
{
	return wall->family == NFPROTO_IPV6 ? f->six.variant : f->variant;
}

/* In the variant where our verdict is handed over, only rules before our own can be in the way. */
static bool is_in_the_way(const struct examiner *x, const struct wall *wall)
{
	const struct facts *f = x->d->seen->facts;

	if (x->have->container)
		return !wall->before_ours;
	if (wall->before_ours)
		return wall->variant == our_variant(wall, f) && hands_over_here(wall, f);
	return wall->variant == VARIANT_NONE || wall->variant != our_variant(wall, f) ||
	       strcmp(wall->table, "filter") != 0;
}

/* --- what is known of packets --- */

static void find_bridges(struct examiner *x)
{
	const struct config *config = x->d->config;

	x->bridges = arena_array(x->d->a, const char *, config->networks.n);
	for (uint32_t i = 0; i < config->networks.n; i++)
		x->bridges[i] = network_bridge(&config->networks.items[i], x->d->seen->engine);
	list_each (network, &x->d->seen->engine->networks)
		if (network->bridge)
			*list_add(x->d->a, &x->engine) = network->bridge;
	interfaces_sort(&x->engine);
}

static const char *bridge_of(const struct examiner *x, struct prefix net, uint32_t network)
{
	if (network != NONE)
		return x->bridges[network];
	list_each (e, &x->d->seen->engine->networks)
		if (e->bridge && prefix_covers(e->ipam[ip_family(net.ip)].subnet, net))
			return e->bridge;
	return NULL;
}

/* From the most specific route to it; unknown for the default route. */
static const char *device_of(const struct examiner *x, struct prefix net)
{
	const struct host_prefix *best = NULL;

	list_each (p, &x->d->seen->host_prefixes)
		if (prefix_covers(p->prefix, net) && (!best || p->prefix.len > best->prefix.len))
			best = p;
	return best ? best->device : NULL;
}

static struct packet reply_to(const struct packet *first)
{
	struct packet reply = *first;

	reply.reply = true;
	reply.src = first->dst;
	reply.dst = first->src;
	reply.in = first->out;
	reply.out = first->in;
	return reply;
}

/* The mark that our rules have set when it reaches the wall. */
static void mark(const struct examiner *x, struct course *c)
{
	const struct facts *f = x->d->seen->facts;
	const struct wall *wall = x->wall;
	bool behind = wall->hook == NF_INET_POST_ROUTING || wall->hook == NF_INET_FORWARD;

	if (wall->family == NFPROTO_BRIDGE || !behind)
		return;
	if (x->have->container) {
		c->first.ct_mark = c->reply.ct_mark = f->mark_accept;
		return;
	}
	c->reply.ct_mark = f->mark_accept;
	behind = wall->hook == NF_INET_POST_ROUTING;
	if (f->backend == BACKEND_NFTABLES && (behind || wall->priority > OUR_PRIORITY))
		c->first.mark = c->reply.mark = f->mark_accept;
	if (behind || wall->priority > (f->backend == BACKEND_NFTABLES ? OUR_PRIORITY : 0))
		c->first.ct_mark = f->mark_accept;
}

/* Before the forward hook a packet is not routed yet, and may not be translated yet. */
static void unroute(const struct examiner *x, struct course *c)
{
	if (x->wall->hook != NF_INET_PRE_ROUTING && x->wall->family != NFPROTO_BRIDGE)
		return;
	c->first.out = c->reply.out = NULL;
	/* in the bridge family interfaces are the bridge's ports */
	if (x->wall->family == NFPROTO_BRIDGE)
		c->first.in = c->reply.in = NULL;
	if (c->first.dnat)
		c->first.dst = (struct prefix){0};
}

static struct course finish(const struct examiner *x, struct course c)
{
	c.first.family = c.first.dst.ip.family ? c.first.dst.ip.family : c.first.src.ip.family;
	c.reply = reply_to(&c.first);
	mark(x, &c);
	unroute(x, &c);
	return c;
}

static struct course course_of_grant(const struct examiner *x, const struct grant *grant,
				     const struct peer *from, const struct peer *to,
				     struct traffic match)
{
	struct course c = {.origin = grant->origin,
			   .first = {.src = from->net,
				     .dst = to->net,
				     .proto = match.proto,
				     .dports = {match.low, match.high}}};

	c.first.in = bridge_of(x, from->net, from->network);
	c.first.out = bridge_of(x, to->net, to->network);
	c.from_outside = !c.first.in || !c.first.out;
	if (!c.first.in)
		c.first.in = grant->iface ? grant->iface : device_of(x, from->net);
	return finish(x, c);
}

static struct course course_of_translation(const struct examiner *x, const struct translation *t)
{
	bool early = x->wall->hook == NF_INET_PRE_ROUTING;
	struct course c = {.origin = t->origin,
			   .from_outside = !t->iface || !interfaces_have(&x->engine, t->iface),
			   .first = {.src = t->from,
				     .dst = prefix_of(t->to),
				     .proto = t->match.proto,
				     .dports = {t->match.low, t->match.high},
				     .in = t->iface,
				     .dnat = true}};

	if (t->to_port && !early)
		c.first.dports = (struct span){t->to_port, t->to_port};
	if (!x->have->container)
		c.first.out =
			bridge_of(x, c.first.dst, config_network_of(x->d->config, c.first.dst));
	return finish(x, c);
}

/* --- what is said --- */

static const char *const families[] = {[NFPROTO_INET] = "inet",
				       [NFPROTO_IPV4] = "ip",
				       [NFPROTO_IPV6] = "ip6",
				       [NFPROTO_BRIDGE] = "bridge"};

static const char *tool_of(const struct wall *wall)
{
	return variant_tool(wall->variant, wall->family == NFPROTO_IPV6 ? 6 : 4);
}

/* A rule that lets our mark pass, in the syntax of the chain's author. */
static const char *remedy(const struct examiner *x)
{
	const struct wall *wall = x->wall;
	struct course c = {0};
	uint32_t bit = x->d->seen->facts->mark_accept;
	const char *there = x->have->container ? "there: " : "";
	bool by_mark;

	mark(x, &c);
	if (wall->before_ours)
		return "remove the rule or the policy";
	if (!c.first.mark && !c.first.ct_mark)
		return "let it accept these flows: it comes before our mark is set";
	by_mark = c.first.mark;
	if (wall->variant == VARIANT_NONE)
		return arena_printf(x->d->a,
				    "let it accept our mark, %snft insert rule %s %s %s %s mark "
				    "and %#x == %#x accept",
				    there, families[wall->family], wall->table, wall->chain,
				    by_mark ? "meta" : "ct", bit, bit);
	return arena_printf(
		x->d->a, "let it accept our mark, %s%s %s%s-I %s -m %s --mark %#x/%#x -j ACCEPT",
		there, tool_of(wall), strcmp(wall->table, "filter") ? "-t " : "",
		strcmp(wall->table, "filter") ? arena_printf(x->d->a, "%s ", wall->table) : "",
		wall->chain, by_mark ? "mark" : "connmark", bit, bit);
}

static const char *place_text(const struct examiner *x)
{
	const struct wall *wall = x->wall;
	const char *in = x->have->container
				 ? arena_printf(x->d->a, "in container \"%s\" ", x->have->container)
				 : "";

	if (wall->before_ours)
		return arena_printf(x->d->a, "a foreign rule in %s%s%s",
				    strcmp(wall->table, "filter") ? wall->table : "",
				    strcmp(wall->table, "filter") ? " " : "", wall->chain);
	if (wall->variant != VARIANT_NONE)
		return arena_printf(x->d->a, "%s%s, table %s, chain %s,", in, tool_of(wall),
				    wall->table, wall->chain);
	return arena_printf(x->d->a, "%stable %s %s, chain %s,", in, families[wall->family],
			    wall->table, wall->chain);
}

static const char *reason_text(const struct examiner *x, const struct passage *p)
{
	if (!p->by)
		return " (it drops what it does not accept)";
	if (x->wall->variant == VARIANT_NONE)
		return " by a rule of it";
	return arena_printf(x->d->a, ": %s", plain_text(p->by, p->chain, x->d->a));
}

static void say(struct examiner *x, const struct course *c, const struct passage *p, bool reply)
{
	bool certain = p->passing == IS_STOPPED;
	struct finding *f = finding_of_policy(
		&x->d->plan->findings, x->d->a, FINDING_WARNING, c->origin, "%s %s %s%s%s; %s",
		place_text(x), certain ? "stops" : "may stop",
		reply ? "the replies to what it admits" : "what it admits",
		c->first.family == 6 ? " in IPv6" : "", reason_text(x, p), remedy(x));

	f->effect = certain ? POLICY_IS_VOID : POLICY_MAY_BE_VOID;
	x->said = c->origin;
}

/* Chains of one family are not passed by packets of the other. */
static bool is_passed_by(const struct wall *wall, const struct packet *packet)
{
	return wall->family == NFPROTO_IPV4   ? packet->family != 6
	       : wall->family == NFPROTO_IPV6 ? packet->family != 4
					      : true;
}

static void examine(struct examiner *x, struct course c)
{
	struct passage p;
	bool reply = false;

	if (c.origin == x->said || (x->wall->from_outside && !c.from_outside) ||
	    x->looks > MOST_LOOKS || !is_passed_by(x->wall, &c.first))
		return;
	p = wall_lets_pass(x->wall, &c.first);
	if (p.passing == PASSES) {
		reply = true;
		p = wall_lets_pass(x->wall, &c.reply);
	}
	x->looks += p.looks + 1;
	if (p.passing != PASSES)
		say(x, &c, &p, reply);
}

/* Both ends on one network without isolation: nothing is between them. */
static bool are_neighbours(const struct examiner *x, const struct peer *from, const struct peer *to)
{
	return from->network != NONE && from->network == to->network && x->flows->apart &&
	       !x->flows->apart[from->network];
}

/* Until something is reported about its policy. */
static void examine_grant(struct examiner *x, const struct grant *grant)
{
	for (uint32_t s = 0; s < grant->from->n; s++)
		for (uint32_t d = 0; d < grant->to->n; d++)
			for (uint32_t m = 0; m < grant->n_matches; m++) {
				if (x->said == grant->origin || x->looks > MOST_LOOKS)
					return;
				if (are_neighbours(x, &grant->from->items[s], &grant->to->items[d]))
					break;
				examine(x,
					course_of_grant(x, grant, &grant->from->items[s],
							&grant->to->items[d], grant->matches[m]));
			}
}

/* --- long lists of bans --- */

static int by_address(const void *left, const void *right)
{
	const struct ip *a = left, *b = right;

	return ip_compare(*a, *b);
}

static void add_address(struct examiner *x, struct prefix net)
{
	if (prefix_is_single(net))
		*list_add(x->d->a, &x->addresses) = net.ip;
}

static void add_addresses(struct examiner *x, const struct peers *peers)
{
	for (uint32_t i = 0; i < peers->n; i++)
		add_address(x, peers->items[i].net);
}

/* Not before a long list asks: sorting them takes half of a pass of 100 000 policies. */
static void find_addresses(struct examiner *x)
{
	if (x->has_addresses)
		return;
	x->has_addresses = true;
	list_each (grant, &x->flows->grants) {
		add_addresses(x, grant->from);
		add_addresses(x, grant->to);
	}
	list_each (t, &x->flows->translations) {
		add_address(x, t->from);
		add_address(x, prefix_of(t->to));
	}
	if (x->addresses.n)
		qsort(x->addresses.items, x->addresses.n, sizeof(struct ip), by_address);
}

static bool has_address(const struct examiner *x, struct ip ip)
{
	return x->addresses.n &&
	       bsearch(&ip, x->addresses.items, x->addresses.n, sizeof(ip), by_address);
}

/* It drops a single address that is not an end of any flow. */
static bool is_about_others(const struct examiner *x, const struct plain *p)
{
	return prefix_is_single(p->src) && !(p->nots & NOT_SRC) &&
	       (!strcmp(p->target, "DROP") || !strcmp(p->target, "REJECT")) &&
	       !has_address(x, p->src.ip);
}

static void sort_out(struct examiner *x, plain_list *rules)
{
	plain_list left = {0};

	if (rules->n < FEW_RULES)
		return;
	find_addresses(x);
	list_each (p, rules)
		if (!is_about_others(x, p))
			*list_add(x->d->a, &left) = *p;
	*rules = left;
}

/* A copy of the chain with only those rules that may match our flows. */
static const struct wall *without_others(struct examiner *x, const struct wall *wall)
{
	struct wall *left = arena_new(x->d->a, struct wall);

	*left = *wall;
	left->chains = (plain_chains){0};
	list_each (chain, &wall->chains) {
		struct plain_chain *copy = list_add(x->d->a, &left->chains);

		*copy = *chain;
		sort_out(x, &copy->rules);
	}
	sort_out(x, &left->rules);
	return left;
}

static void examine_wall(struct examiner *x, const struct wall *wall)
{
	x->wall = without_others(x, wall);
	x->said = NONE;
	x->looks = 0;
	list_each (grant, &x->flows->grants)
		examine_grant(x, grant);
	list_each (t, &x->flows->translations)
		examine(x, course_of_translation(x, t));
	if (x->looks > MOST_LOOKS)
		finding_add(&x->d->plan->findings, x->d->a, FINDING_NOTE, NONE, "host",
			    "%s has too many rules: not every policy was checked against them",
			    place_text(x));
}

void diff_walls(struct differ *d, const struct space *want, const struct space *have)
{
	struct examiner x = {.d = d, .have = have, .flows = want->flows};

	if (!have->walls.n || !x.flows)
		return;
	find_bridges(&x);
	list_each (wall, &have->walls)
		if (is_in_the_way(&x, wall))
			examine_wall(&x, wall);
}

const char *walls_stop(struct arena *a, const struct config *config, const struct observed *seen,
		       const struct packet *first)
{
	struct differ d = {.a = a, .seen = seen, .config = config};
	struct examiner x = {.d = &d, .have = &seen->have.spaces.items[0]};

	if (!x.have->walls.n)
		return NULL;
	find_bridges(&x);
	list_each (wall, &x.have->walls) {
		struct course c = {.first = *first};
		struct passage p;

		x.wall = wall;
		c.from_outside = !interfaces_have(&x.engine, first->in) ||
				 !interfaces_have(&x.engine, first->out);
		if (!is_in_the_way(&x, wall) || (wall->from_outside && !c.from_outside))
			continue;
		c = finish(&x, c);
		if (!is_passed_by(wall, &c.first))
			continue;
		p = wall_lets_pass(wall, &c.first);
		if (p.passing != PASSES)
			return arena_printf(a, "%s %s it%s; %s", place_text(&x),
					    p.passing == IS_STOPPED ? "stops" : "may stop",
					    reason_text(&x, &p), remedy(&x));
	}
	return NULL;
}
