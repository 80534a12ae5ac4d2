/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/diff.h"

#include "core/flowset/sets.h"

#include <stdlib.h>
#include <string.h>

/* One direction: what `with` admits and `without` does not. */
struct comparing {
	change_list *changes;
	struct arena *a;
	struct diagram_pool *diagrams;
	const struct reach *with, *without;
	bool opens;
	uint8_t family; /* that is compared; 0: neither file has IPv6 */
};

/* Within one direction and kind: by policy, then by destination and source. */
static int by_policy(const void *left, const void *right)
{
	const struct flow_block *a = left, *b = right;

	if (a->leaf != b->leaf)
		return a->leaf < b->leaf ? -1 : 1;
	for (int f = 0; f < N_FLOW_FIELDS; f++) {
		flow_value x = a->fields[f].items[0].low, y = b->fields[f].items[0].low;

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

/*
 * If the source's home already implies the interface, the interface is not printed, unless a policy
 * asks for one.
 */
static struct diagram in_few_words(struct comparing *c, struct diagram d, struct diagram care)
{
	struct diagram cared = diagram_combine(c->diagrams, d, care, DIAGRAM_AND), any_interface;

	any_interface = diagram_forget(c->diagrams, cared, FLOW_IN);
	if (diagram_equal(diagram_combine(c->diagrams, any_interface, care, DIAGRAM_AND), cared))
		d = any_interface;
	return diagram_restrict(c->diagrams, d, care);
}

/* Flows of the family that is compared: none has addresses of both. */
static struct diagram of_family(struct comparing *c)
{
	struct flow_sets sets = {.a = c->a};
	struct flow_set *set;

	set = flow_sets_add(&sets, 1);
	limit_to_family(&sets, set, FLOW_SRC, c->family);
	limit_to_family(&sets, set, FLOW_DST, c->family);
	set = flow_sets_add(&sets, 1);
	limit_to_family(&sets, set, FLOW_SRC, c->family);
	limit_to_value(&sets, set, FLOW_DST, REACH_SELF);
	return flow_sets_build(&sets, c->diagrams);
}

/* Restricted to what is cared for, a diagram says whatever is short about the rest. */
static void keep_family(const struct comparing *c, struct flow_block *block)
{
	static const enum flow_field ends[] = {FLOW_SRC, FLOW_DST};

	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct flow_ranges *ranges = &block->fields[ends[i]];
		range_list all = {.items = ranges->items, .n = ranges->n}, part;

		part = ranges_of_family(c->a, &all, c->family);
		if (part.n)
			*ranges = (struct flow_ranges){part.items, part.n};
	}
}

static bool add_changes(struct comparing *c, struct diagram d, struct diagram care,
			enum change_kind kind, const char *container)
{
	flow_blocks blocks = {0};
	bool all;

	if (c->family) {
		care = diagram_combine(c->diagrams, care, of_family(c), DIAGRAM_AND);
		d = diagram_combine(c->diagrams, d, of_family(c), DIAGRAM_AND);
	}
	d = in_few_words(c, d, care);
	all = diagram_blocks(&blocks, c->a, c->diagrams, d, CHANGES_MOST);
	if (c->family) /* what is beside it is of no family, or of the other */
		list_each (block, &blocks)
			keep_family(c, block);
	if (blocks.n)
		qsort(blocks.items, blocks.n, sizeof(*blocks.items), by_policy);
	list_each (block, &blocks) {
		struct change *change;

		if (block->leaf < REACH_POLICY)
			continue;
		change = list_add(c->a, c->changes);
		*change = (struct change){kind, c->opens, container, *block, NULL, NULL};
		change->block.leaf -= REACH_POLICY;
	}
	return all;
}

/* This file's networks as sources, each on its own bridge. */
static struct diagram at_home(struct comparing *c)
{
	const struct reach *reach = c->with;
	struct flow_sets sets = {.a = c->a};

	list_each (network, &reach->config->networks) {
		const char *bridge = reach->bridges[network - reach->config->networks.items];
		struct flow_set *set;
		range_list subnets;

		if (!bridge)
			continue;
		subnets = (range_list){0};
		add_subnets(&subnets, c->a, network);
		set = flow_sets_add(&sets, 1);
		limit_to_ranges(set, FLOW_SRC, &subnets);
		limit_to_value(&sets, set, FLOW_IN, reach_interface(reach->pool, bridge));
	}
	return flow_sets_build(&sets, c->diagrams);
}

/*
 * Sources that are genuine in both files, or on a network of the file that admits them. A source
 * that is genuine in only one file is reported with its network.
 */
static struct diagram genuine(struct comparing *c)
{
	struct diagram both =
		diagram_combine(c->diagrams, c->with->genuine, c->without->genuine, DIAGRAM_AND);

	return diagram_combine(
		c->diagrams, both,
		diagram_combine(c->diagrams, c->with->genuine, at_home(c), DIAGRAM_AND),
		DIAGRAM_OR);
}

/* … or the host's own. */
static struct diagram genuine_or_own(struct comparing *c)
{
	struct flow_sets sets = {.a = c->a};

	limit_to_value(&sets, flow_sets_add(&sets, 1), FLOW_IN, REACH_IN_LOCAL);
	return diagram_combine(c->diagrams, genuine(c), flow_sets_build(&sets, c->diagrams),
			       DIAGRAM_OR);
}

static struct diagram to_networks(struct comparing *c, const struct reach *reach)
{
	struct flow_sets sets = {.a = c->a};
	range_list subnets = reach_subnets(reach, c->a);

	if (subnets.n)
		limit_to_ranges(flow_sets_add(&sets, 1), FLOW_DST, &subnets);
	return flow_sets_build(&sets, c->diagrams);
}

/*
 * What the other file admits, of this one's flows. Traffic to a network that only this file has
 * leads nowhere there, whatever would decide about it.
 */
static struct diagram without(struct comparing *c, struct diagram d)
{
	struct diagram only_here = diagram_combine(c->diagrams, to_networks(c, c->with),
						   to_networks(c, c->without), DIAGRAM_MINUS);

	return diagram_combine(c->diagrams, d, only_here, DIAGRAM_MINUS);
}

static bool compare_flows(struct comparing *c)
{
	struct diagram free = diagram_combine(c->diagrams, c->with->free,
					      without(c, c->without->free), DIAGRAM_OR);
	struct diagram more = diagram_combine(c->diagrams, c->with->open,
					      without(c, c->without->open), DIAGRAM_MINUS);

	return add_changes(c, more,
			   diagram_combine(c->diagrams, genuine_or_own(c), free, DIAGRAM_MINUS),
			   CHANGE_FLOWS, NULL);
}

/* --- translations --- */

static bool is_target(const struct reach *reach, uint32_t target, const struct translation *t)
{
	return ip_equal(reach->pool->targets.items[target].to, t->to);
}

static bool is_mapped(const struct reach *reach, const struct translation *t)
{
	return reach->config->policies.items[t->origin].mapped;
}

/* Of policies that map ports one to one without the ports. */
static void note_target(const struct comparing *c, const struct reach *reach, uint32_t *targets,
			const struct translation *t)
{
	uint32_t *target = &targets[REACH_POLICY + t->origin];
	struct translation here = *t;

	if (c->family && t->to.family != c->family)
		return;
	/* of several targets each once, in their order */
	if (t->share.of && *target && is_target(reach, *target - 1, t))
		return;
	here.to_port = is_mapped(reach, t) ? 0 : t->to_port;
	*target = reach_target(reach->pool, &here, t->share.part ? *target : 0) + 1;
}

/* By leaf: where the translation leads, as a number of the pool. */
static const uint32_t *targets_of(const struct comparing *c, const struct reach *reach,
				  const struct reach_space *space)
{
	uint32_t *targets = arena_array(c->a, uint32_t, REACH_POLICY + reach->config->policies.n);

	list_each (t, &space->flows->own)
		note_target(c, reach, targets, t);
	list_each (t, &space->flows->translations)
		note_target(c, reach, targets, t);
	return targets;
}

/* The same target, and those that it shares its clients with, at another port. */
static uint32_t at_port(const struct reach *reach, uint32_t target, uint16_t port)
{
	const struct reach_target *t = &reach->pool->targets.items[target - 1];
	const struct translation there = {
		.to = t->to, .to_port = port, .masquerade = t->masquerade};
	const uint32_t rest = t->rest;

	return reach_target(reach->pool, &there, rest ? at_port(reach, rest, port) : 0) + 1;
}

static void add_leads(uint32_t *leads, const struct reach *reach, const uint32_t *targets,
		      const translation_list *list)
{
	list_each (t, list) {
		uint32_t target = targets[REACH_POLICY + t->origin];

		leads[t - list->items] =
			target && is_mapped(reach, t) ? at_port(reach, target, t->to_port) : target;
	}
}

/* Where connections to the namespace's own addresses are led: leaves are numbers of the pool. */
static struct diagram leads_of(const struct comparing *c, const struct reach *reach,
			       const struct reach_space *space)
{
	const uint32_t *targets = targets_of(c, reach, space);
	const struct flows *flows = space->flows;
	bool mapped = false;
	uint32_t *leads;

	list_each (t, &flows->own)
		mapped |= is_mapped(reach, t);
	list_each (t, &flows->translations)
		mapped |= is_mapped(reach, t);
	if (!mapped)
		return diagram_relabel(c->diagrams, space->doors, targets);
	leads = arena_array(c->a, uint32_t, flows->translations.n + flows->own.n);
	add_leads(leads, reach, targets, &flows->translations);
	add_leads(leads + flows->translations.n, reach, targets, &flows->own);
	return reach_leads(reach, space, leads);
}

static bool compare_space(struct comparing *c, const struct reach_space *space)
{
	const struct reach_space *other = reach_find_space(c->without, space->container);
	struct diagram_pool *diagrams = c->diagrams;
	struct diagram every = diagram_every(1), here, there = diagram_every(0);
	struct diagram care = space->container ? every : genuine_or_own(c);

	here = leads_of(c, c->with, space);
	if (other)
		there = leads_of(c, c->without, other);
	here = diagram_combine(diagrams, here, there, DIAGRAM_UNLIKE);
	if (!add_changes(c, diagram_combine(diagrams, space->doors, here, DIAGRAM_AND), care,
			 CHANGE_TRANSLATION, space->container))
		return false;
	here = space->masquerades;
	if (other)
		here = diagram_combine(diagrams, here, other->masquerades, DIAGRAM_MINUS);
	return add_changes(c, here, every, CHANGE_MASQUERADE, space->container);
}

/* --- networks --- */

static const struct network *find_network(const struct reach *reach, const char *name)
{
	list_each (network, &reach->config->networks)
		if (!strcmp(network->name, name))
			return network;
	return NULL;
}

/* The network if it has a bridge in this file, otherwise NULL. */
static const char *bridge_of(const struct reach *reach, const struct network *network)
{
	return network ? reach->bridges[network - reach->config->networks.items] : NULL;
}

/* The same bridge and subnet: then only what its containers may do can differ. */
static bool same_place(const struct comparing *c, const struct network *network,
		       const struct network *other, enum family f)
{
	const char *here = bridge_of(c->with, network), *there = bridge_of(c->without, other);

	return here && there && !strcmp(here, there) &&
	       !prefix_compare(network->ipam[f].subnet, other->ipam[f].subnet);
}

static void say_network(struct comparing *c, const struct network *network, const char *text)
{
	*list_add(c->a, c->changes) = (struct change){
		.kind = CHANGE_NETWORK, .opens = c->opens, .network = network->name, .text = text};
}

static bool is_apart(const struct reach *reach, const struct network *network)
{
	return reach->apart[network - reach->config->networks.items];
}

/* Where containers are kept apart, policies may let everything through between them all the same.
 */
static bool opens_within(struct comparing *c, const struct network *network, enum family f)
{
	struct flow_sets sets = {.a = c->a};
	struct flow_set *set = flow_sets_add(&sets, 1);
	struct diagram more =
		diagram_combine(c->diagrams, c->with->open, c->without->open, DIAGRAM_MINUS);

	limit_to_prefix(&sets, set, FLOW_SRC, network->ipam[f].subnet);
	limit_to_prefix(&sets, set, FLOW_DST, network->ipam[f].subnet);
	limit_to_value(&sets, set, FLOW_IN,
		       reach_interface(c->with->pool, bridge_of(c->with, network)));
	return !diagram_is_empty(diagram_combine(c->diagrams, more,
						 flow_sets_build(&sets, c->diagrams), DIAGRAM_AND));
}

static bool reaches_outside(const struct network *network)
{
	return !network->internal && network->egress != EGRESS_DENY;
}

static bool is_strict(const struct network *network)
{
	return network->isolation == ISOLATION_STRICT;
}

static void compare_subnet(struct comparing *c, const struct network *network, enum family f)
{
	const struct network *other = find_network(c->without, network->name);
	bool same = same_place(c, network, other, f);
	const char *by = f == FAMILY_6 ? " by IPv6" : "";

	if (!network_is_closed_to_host(network) &&
	    (!same || network_is_closed_to_host(other) ||
	     !ip_equal(network->ipam[f].gateway, other->ipam[f].gateway)))
		say_network(c, network,
			    arena_printf(c->a, "%s, gateway %s, on %s: this host reaches it",
					 prefix_format_full(network->ipam[f].subnet).s,
					 ip_format(network->ipam[f].gateway).s,
					 bridge_of(c->with, network)));
	if (!is_apart(c->with, network) &&
	    (!same || (is_apart(c->without, other) && opens_within(c, network, f))))
		say_network(c, network,
			    arena_printf(c->a, "its containers reach each other%s", by));
	if (same && !is_strict(network) && is_strict(other))
		say_network(c, network,
			    arena_printf(c->a, "what its containers publish is reached%s", by));
	if (reaches_outside(network) && (!same || !reaches_outside(other)))
		say_network(c, network,
			    arena_printf(c->a, "its containers reach the outside%s", by));
	if (same && network->egress != EGRESS_DENY && other->egress == EGRESS_DENY)
		say_network(c, network, arena_printf(c->a, "its containers reach this host%s", by));
}

static bool compare_family(struct comparing *c)
{
	if (!compare_flows(c))
		return false;
	list_each (space, &c->with->spaces)
		if (!compare_space(c, space))
			return false;
	return true;
}

static bool compare(struct comparing *c)
{
	list_each (network, &c->with->config->networks)
		for (enum family f = 0; bridge_of(c->with, network) && f < N_FAMILIES; f++)
			if (network->ipam[f].subnet.ip.family)
				compare_subnet(c, network, f);
	if (!c->with->config->has_ipv6 && !c->without->config->has_ipv6)
		return compare_family(c);
	each_family (family) {
		c->family = family;
		if (!compare_family(c))
			return false;
	}
	return true;
}

bool reach_diff(change_list *changes, struct arena *a, const struct reach *before,
		const struct reach *after)
{
	struct comparing gone = {changes, a, after->pool->diagrams, before, after, false, 0};
	struct comparing new = {changes, a, after->pool->diagrams, after, before, true, 0};

	return compare(&gone) && compare(&new);
}
