/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/program/groups.h"

#include "core/program/ends.h"
#include "core/ruleset/runs.h"

#include <stdlib.h>

#define DESTINATIONS	   "destinations"
#define DESTINATION_RANGES "destination_ranges"

enum { FEW_RULES = 8 }; /* with no more rules than this a group needs no map */

struct group {
	const struct peers *to;
	const char *name; /* of its chain and its map */
	LIST(uint32_t) flows;
};

struct layout {
	struct builder *b;
	enum way way;
	const grouped_list *flows;
	LIST(struct group) groups;
	struct hash_index groups_by_peers;
};

/* --- the chain of a group --- */

/* What one source may come to. */
struct approach {
	struct ports ports;
	const struct grant *grant;
};

typedef LIST(struct approach) approach_list;

static enum ports_kind kind_of(struct traffic match)
{
	if (!match.proto)
		return EVERY_PROTOCOL;
	if (!match_has_ports(match) || match_every_port(match))
		return EVERY_PORT;
	return match.low == match.high ? ONE_PORT : PORT_RANGES;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_ports(const struct ports *a, const struct ports *b)
{
	int order = compare_numbers(a->kind, b->kind);

	if (!order)
		order = compare_numbers(a->proto, b->proto);
	if (!order)
		order = compare_numbers(a->ranges.n, b->ranges.n);
	for (uint32_t i = 0; !order && i < a->ranges.n; i++) {
		const struct port_range *x = &a->ranges.items[i], *y = &b->ranges.items[i];

		order = compare_numbers((uint32_t)x->low << 16 | x->high,
					(uint32_t)y->low << 16 | y->high);
	}
	return order;
}

/* Sorts by source, then by port. */
static int by_source(const void *left, const void *right)
{
	const struct approach *a = left, *b = right;
	int order = compare_numbers(a->ports.kind, b->ports.kind);

	if (!order)
		order = compare_numbers(a->ports.proto, b->ports.proto);
	if (!order && a->ports.kind == PORT_RANGES)
		order = compare_numbers(a->grant->from->hash, b->grant->from->hash);
	if (!order)
		order = compare_ports(&a->ports, &b->ports);
	return order ? order : compare_numbers(a->grant->origin, b->grant->origin);
}

/* Of one end all sources stand together, in the order of the file. */
static int by_ports(const void *left, const void *right)
{
	const struct approach *a = left, *b = right;
	int order = compare_ports(&a->ports, &b->ports);

	return order ? order : compare_numbers(a->grant->origin, b->grant->origin);
}

static bool joins(const struct layout *l, const struct approach *a, const struct approach *b)
{
	return !way_counts(l->b, l->way) && a->ports.kind == PORT_RANGES &&
	       b->ports.kind == PORT_RANGES && a->ports.proto == b->ports.proto &&
	       a->grant->iface == b->grant->iface && same_peers(a->grant->from, b->grant->from);
}

/* Merges the port ranges of one source and protocol. With counters each policy keeps its own. */
static void join_ranges(struct layout *l, approach_list *all)
{
	uint32_t n = 0;

	if (!all->n)
		return;
	qsort(all->items, all->n, sizeof(*all->items), by_source);
	for (uint32_t i = 0; i < all->n; i++) {
		struct approach *last = n ? &all->items[n - 1] : NULL;
		struct port_range next = all->items[i].ports.ranges.items[0], *end;

		if (!last || !joins(l, last, &all->items[i])) {
			all->items[n++] = all->items[i];
			continue;
		}
		end = &last->ports.ranges.items[last->ports.ranges.n - 1];
		if (next.low > end->high + 1)
			*list_add(l->b->a, &last->ports.ranges) = next;
		else if (next.high > end->high)
			end->high = next.high;
	}
	all->n = n;
	qsort(all->items, all->n, sizeof(*all->items), by_ports);
}

static const char *name_of_end(struct layout *l, const struct group *group,
			       const struct ports *ports)
{
	const struct port_range *first = ports->ranges.items;
	const char *proto = protocol_name(ports->proto);

	switch (ports->kind) {
	case ONE_PORT:
		return arena_printf(l->b->a, "%s_%s_%u", group->name, proto, first->low);
	case PORT_RANGES:
		return arena_printf(l->b->a, "%s_%s_%u-%u%s", group->name, proto, first->low,
				    first->high, ports->ranges.n > 1 ? "_and_more" : "");
	case EVERY_PORT:
		return arena_printf(l->b->a, "%s_%s", group->name, proto);
	case EVERY_PROTOCOL:
		break;
	}
	return arena_printf(l->b->a, "%s_any", group->name);
}

static approach_list approaches_of_group(struct layout *l, const struct group *group)
{
	approach_list all = {0};

	list_each (i, &group->flows) {
		const struct grouped *flow = &l->flows->items[*i];
		struct approach *approach = list_add(l->b->a, &all);

		approach->ports.kind = kind_of(flow->match);
		approach->ports.proto = flow->match.proto;
		approach->grant = flow->grant;
		*list_add(l->b->a, &approach->ports.ranges) =
			(struct port_range){flow->match.low, flow->match.high};
	}
	join_ranges(l, &all);
	return all;
}

typedef LIST(struct end) end_list;

static end_list ends_of_group(struct layout *l, const struct group *group)
{
	approach_list all = approaches_of_group(l, group);
	end_list ends = {0};

	list_each (approach, &all) {
		struct end *last = ends.n ? &ends.items[ends.n - 1] : NULL;

		if (!last || compare_ports(&last->ports, &approach->ports) != 0) {
			last = list_add(l->b->a, &ends);
			last->ports = approach->ports;
			last->name = name_of_end(l, group, &approach->ports);
		}
		end_add(last, l->b->a, approach->grant);
	}
	return ends;
}

static uint32_t count_rules(const struct layout *l, const end_list *ends)
{
	uint32_t n = 0;

	list_each (end, ends)
		n += end_n_rules(l->b, l->way, end);
	return n;
}

/* Single ports go to a map. An end that is a single rule gets no chain. */
static void build_large_group(struct layout *l, const struct group *group, end_list *ends)
{
	struct verdict *verdicts = arena_array(l->b->a, struct verdict, ends->n);
	struct set map = {.name = group->name,
			  .key = {FIELD_PROTO, FIELD_PORT},
			  .n_key = 2,
			  .data = {FIELD_VERDICT},
			  .n_data = 1};
	struct chain *chain;

	for (uint32_t i = 0; i < ends->n; i++) {
		struct end *end = &ends->items[i];

		if (end->ports.kind != ONE_PORT && end_n_rules(l->b, l->way, end) == 1)
			continue;
		verdicts[i] = verdict_of_end(l->b, l->way, end);
		if (end->ports.kind == ONE_PORT) {
			uint8_t *at = put_proto(set_add(&map, l->b->a, NONE), end->ports.proto);

			put_verdict(l->b, &map, put_port(at, end->ports.ranges.items->low),
				    verdicts[i]);
		}
	}
	keep_set(l->b, &map);
	chain = add_chain(l->b, group->name);
	if (map.n)
		term_lookup(l->b, new_rule(l->b, chain), TERM_VMAP, group->name, LOAD_PROTO,
			    ways[l->way].port);
	for (uint32_t i = 0; i < ends->n; i++)
		if (!verdicts[i].chain)
			end_rules(l->b, l->way, chain, &ends->items[i]);
		else if (ends->items[i].ports.kind != ONE_PORT)
			end_jump(l->b, l->way, chain, &ends->items[i], verdicts[i]);
}

static void build_group(struct layout *l, const struct group *group)
{
	end_list ends = ends_of_group(l, group);
	struct chain *chain;

	if (count_rules(l, &ends) > FEW_RULES) {
		build_large_group(l, group, &ends);
		return;
	}
	chain = add_chain(l->b, group->name);
	list_each (end, &ends)
		end_rules(l->b, l->way, chain, end);
}

/* --- which groups an address is in --- */

struct membership {
	LIST(uint32_t) groups; /* sorted */
	uint64_t hash;
	struct verdict verdict; /* once somebody asked */
};

struct dispatcher {
	struct layout *l;
	LIST(struct membership) memberships;
	struct hash_index by_hash;
};

static bool same_groups(const struct membership *a, const struct membership *b)
{
	return a->groups.n == b->groups.n &&
	       !memcmp(a->groups.items, b->groups.items, a->groups.n * sizeof(*a->groups.items));
}

static uint32_t membership_of(struct dispatcher *d, struct membership *new)
{
	uint32_t known;

	new->hash = hash_bytes(new->groups.items, new->groups.n * sizeof(*new->groups.items));
	known = hash_index_find(&d->by_hash, new->hash, i,
				same_groups(&d->memberships.items[i], new));
	if (known != NONE)
		return known;
	*list_add(d->l->b->a, &d->memberships) = *new;
	hash_index_grow(&d->by_hash, d->l->b->a, &d->memberships, i, d->memberships.items[i].hash);
	return d->memberships.n - 1;
}

static uint32_t membership_of_group(struct dispatcher *d, uint32_t group)
{
	struct membership one = {0};

	*list_add(d->l->b->a, &one.groups) = group;
	return membership_of(d, &one);
}

/* The members of both, where a prefix of one lies within a prefix of the other. */
static uint32_t join_memberships(void *context, uint32_t outer, uint32_t inner)
{
	struct dispatcher *d = context;
	const struct membership a = d->memberships.items[outer], b = d->memberships.items[inner];
	struct membership both = {0};

	for (uint32_t i = 0, k = 0; i < a.groups.n || k < b.groups.n;) {
		uint32_t left = i < a.groups.n ? a.groups.items[i] : NONE;
		uint32_t right = k < b.groups.n ? b.groups.items[k] : NONE;

		*list_add(d->l->b->a, &both.groups) = left < right ? left : right;
		i += left <= right;
		k += right <= left;
	}
	return membership_of(d, &both);
}

/*
 * An address in one group leads to the group's chain. One in several groups leads to a chain that
 * asks each of them.
 */
static struct verdict verdict_of_membership(struct dispatcher *d, uint32_t i, const char *place)
{
	struct membership *m = &d->memberships.items[i];
	struct layout *l = d->l;
	struct chain *chain;

	if (m->verdict.chain)
		return m->verdict;
	if (m->groups.n == 1) {
		m->verdict = verdict_to(false, l->groups.items[m->groups.items[0]].name);
		return m->verdict;
	}
	place = new_name(l->b, arena_printf(l->b->a, "%sat_", ways[l->way].prefix), place);
	chain = add_chain(l->b, place);
	list_each (group, &m->groups)
		term_name(l->b, new_rule(l->b, chain), TERM_JUMP, l->groups.items[*group].name);
	m->verdict = verdict_to(false, place);
	return m->verdict;
}

/* Cuts the addresses of all groups of a family into runs; each run has one membership. */
static struct runs runs_of_groups(struct dispatcher *d, struct arena *a, uint8_t family,
				  bool single)
{
	struct runs runs = {.within = join_memberships, .context = d};
	LIST(struct run) all = {0};

	for (uint32_t g = 0; g < d->l->groups.n; g++) {
		const struct peers *to = d->l->groups.items[g].to;

		if (!to->n || to->items[0].net.ip.family != family)
			continue;
		for (uint32_t i = 0; i < to->n; i++)
			if (prefix_is_single(to->items[i].net) == single)
				*list_add(a, &all) =
					run_of_prefix(to->items[i].net, membership_of_group(d, g));
	}
	if (all.n)
		runs_cut(&runs, a, all.items, all.n);
	return runs;
}

static struct verdict verdict_of_run(struct dispatcher *d, const struct run *run, uint8_t family)
{
	return verdict_of_membership(d, run->value, ip_format(run_address(run->low, family)).s);
}

static const char *name_of_map(struct builder *b, const char *prefix, const char *name,
			       uint8_t family)
{
	return name_of_family(b, arena_printf(b->a, "%s%s", prefix, name), family);
}

static void build_destinations(struct dispatcher *d, uint8_t family)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct runs runs = runs_of_groups(d, &scratch, family, true);
	struct set map = {
		.name = name_of_map(d->l->b, ways[d->l->way].prefix, DESTINATIONS, family),
		.key = {address_field(family)},
		.n_key = 1,
		.data = {FIELD_VERDICT},
		.n_data = 1};
	struct builder *b = d->l->b;

	list_each (run, &runs.list) /* neighbours may have become one run */
		for (ip_number more = 0; more <= run->high - run->low; more++)
			put_verdict(b, &map,
				    put_ip(set_add(&map, b->a, NONE),
					   run_address(run->low + more, family)),
				    verdict_of_run(d, run, family));
	keep_set(b, &map);
}

/* An address may be in both maps, so both are asked. */
static void build_destination_ranges(struct dispatcher *d, uint8_t family)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct runs runs = runs_of_groups(d, &scratch, family, false);
	struct set map = {
		.name = name_of_map(d->l->b, ways[d->l->way].prefix, DESTINATION_RANGES, family),
		.key = {address_field(family)},
		.n_key = 1,
		.data = {FIELD_VERDICT},
		.n_data = 1,
		.interval = true};
	struct builder *b = d->l->b;

	list_each (run, &runs.list) {
		uint8_t *at = set_add(&map, b->a, NONE);

		at = put_ip(put_ip(at, run_address(run->low, family)),
			    run_address(run->high, family));
		put_verdict(b, &map, at, verdict_of_run(d, run, family));
	}
	keep_set(b, &map);
}

/* --- all of it --- */

static uint32_t group_of(struct layout *l, const struct grant *grant)
{
	uint32_t known = hash_index_find(&l->groups_by_peers, grant->to->hash, i,
					 same_peers(l->groups.items[i].to, grant->to));
	struct group *group;

	if (known != NONE)
		return known;
	group = list_add(l->b->a, &l->groups);
	group->to = grant->to;
	group->name = new_name(l->b, arena_printf(l->b->a, "%sto_", ways[l->way].prefix),
			       grant->to_name ? grant->to_name
					      : prefix_format(grant->to->items[0].net).s);
	hash_index_grow(&l->groups_by_peers, l->b->a, &l->groups, i, l->groups.items[i].to->hash);
	return l->groups.n - 1;
}

void build_groups(struct builder *b, const grouped_list *flows, enum way way)
{
	struct layout l = {.b = b, .way = way, .flows = flows};
	struct dispatcher d = {.l = &l};

	for (uint32_t i = 0; i < flows->n; i++) {
		uint32_t group = group_of(&l, flows->items[i].grant);

		*list_add(l.b->a, &l.groups.items[group].flows) = i;
	}
	list_each (group, &l.groups)
		build_group(&l, group);
	each_family (family) {
		build_destinations(&d, family);
		build_destination_ranges(&d, family);
	}
}

void dispatch_groups(struct builder *b, struct chain *chain, enum way way)
{
	static const char *const maps[] = {DESTINATIONS, DESTINATION_RANGES};

	each_family (family)
		for (size_t i = 0; i < COUNT_OF(maps); i++) {
			const char *name = name_of_map(b, ways[way].prefix, maps[i], family);

			if (ruleset_find_set(b->rs, name))
				term_lookup(b, add_rule(b, chain, family, NULL, NONE), TERM_VMAP,
					    name, ways[way].destination);
		}
}
