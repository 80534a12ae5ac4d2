/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ruleset/groups.h"

#include "core/ruleset/ends.h"
#include "core/ruleset/runs.h"

#include <stdlib.h>

#define DESTINATIONS	   "destinations"
#define DESTINATION_RANGES "destination_ranges"

struct group {
	const struct peers *to;
	const char *name; /* of its chain and its map */
	LIST(uint32_t) flows;
};

struct layout {
	struct builder *b;
	struct ends *ends;
	const struct way_words *way;
	const grouped_list *flows;
	LIST(struct group) groups;
	struct hash_index groups_by_peers;
};

/* --- the chain of a group --- */

/* In the order in which they are asked. */
enum ports_kind { ONE_PORT, PORT_RANGES, EVERY_PORT, EVERY_PROTOCOL };

/* What one source may come to: of one protocol, disjoint and sorted. */
struct ports {
	enum ports_kind kind;
	uint8_t proto;
	LIST(struct port_range) ranges;
	const struct grant *grant;
};

typedef LIST(struct ports) ports_list;

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

/* Ranges of one source stand together, from the lowest on; sources in the order of the file. */
static int by_source(const void *left, const void *right)
{
	const struct ports *a = left, *b = right;
	int order = compare_numbers(a->kind, b->kind);

	if (!order)
		order = compare_numbers(a->proto, b->proto);
	if (!order && a->kind == PORT_RANGES)
		order = compare_numbers(a->grant->from->hash, b->grant->from->hash);
	if (!order)
		order = compare_numbers(a->ranges.items->low, b->ranges.items->low);
	return order ? order : compare_numbers(a->grant->origin, b->grant->origin);
}

/* Of an end all sources stand together, in the order of the file. */
static int by_ports(const void *left, const void *right)
{
	const struct ports *a = left, *b = right;
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
	return order ? order : compare_numbers(a->grant->origin, b->grant->origin);
}

static bool same_ports(const struct ports *a, const struct ports *b)
{
	return a->kind == b->kind && a->proto == b->proto && a->ranges.n == b->ranges.n &&
	       !memcmp(a->ranges.items, b->ranges.items, a->ranges.n * sizeof(*a->ranges.items));
}

static bool joins(const struct layout *l, const struct ports *a, const struct ports *b)
{
	return !ends_count(l->ends) && a->kind == PORT_RANGES && b->kind == PORT_RANGES &&
	       a->proto == b->proto && same_peers(a->grant->from, b->grant->from);
}

/* What policies say of one source and protocol as one list of ranges, unless each counts. */
static void join_ranges(struct layout *l, ports_list *all)
{
	uint32_t n = 0;

	qsort(all->items, all->n, sizeof(*all->items), by_source);
	for (uint32_t i = 0; i < all->n; i++) {
		struct ports *last = n ? &all->items[n - 1] : NULL;
		struct port_range next = all->items[i].ranges.items[0], *end;

		if (!last || !joins(l, last, &all->items[i])) {
			all->items[n++] = all->items[i];
			continue;
		}
		end = &last->ranges.items[last->ranges.n - 1];
		if (next.low > end->high + 1)
			*list_add(l->b->a, &last->ranges) = next;
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

static const char *set_of_ports(struct layout *l, const struct ports *ports, const char *name)
{
	struct set *set;

	name = new_name(l->ends, "ports_", name);
	set = new_set(l->b, name, FIELD_PORT);
	set->interval = true;
	list_each (range, &ports->ranges)
		put_port(put_port(set_add(set, l->b->a, NONE), range->low), range->high);
	finish_set(l->b, set);
	return name;
}

/* A rule that leads to the end, and what it asks before. */
struct step_to_end {
	const struct ports *ports;
	const char *set; /* of its ports, where it is more than one range */
	struct verdict verdict;
};

static void add_step(struct layout *l, struct chain *chain, const struct step_to_end *step)
{
	const struct ports *ports = step->ports;
	struct rule *rule = add_rule(l->b, chain, 0, NULL, NONE);

	if (ports->kind != EVERY_PROTOCOL)
		term_number(l->b, rule, TERM_PROTO, ports->proto);
	if (step->set)
		term_lookup(l->b, rule, TERM_LOOKUP, step->set, l->way->port);
	else if (ports->kind == PORT_RANGES)
		term_ports(l->b, rule, l->way->port_is, ports->ranges.items->low,
			   ports->ranges.items->high);
	term_name(l->b, rule, step->verdict.go ? TERM_GOTO : TERM_JUMP, step->verdict.chain);
}

static ports_list ports_of_group(struct layout *l, const struct group *group)
{
	ports_list all = {0};

	list_each (i, &group->flows) {
		const struct grouped *flow = &l->flows->items[*i];
		struct ports *ports = list_add(l->b->a, &all);

		ports->kind = kind_of(flow->match);
		ports->proto = flow->match.proto;
		ports->grant = flow->grant;
		*list_add(l->b->a, &ports->ranges) =
			(struct port_range){flow->match.low, flow->match.high};
	}
	join_ranges(l, &all);
	return all;
}

/* The map of a group's single ports, and the steps to everything else. */
static void build_group(struct layout *l, const struct group *group)
{
	struct set map = {.name = group->name,
			  .key = {FIELD_PROTO, FIELD_PORT},
			  .n_key = 2,
			  .data = {FIELD_VERDICT},
			  .n_data = 1};
	ports_list all = ports_of_group(l, group);
	LIST(struct step_to_end) steps = {0};
	struct chain *chain;

	for (uint32_t i = 0, k; i < all.n; i = k) {
		const struct ports *ports = &all.items[i];
		const char *name = name_of_end(l, group, ports);
		struct step_to_end step = {.ports = ports};
		struct end end = {0};

		for (k = i; k < all.n && same_ports(ports, &all.items[k]); k++)
			end_add(&end, l->b->a, all.items[k].grant);
		step.verdict = verdict_of_end(l->ends, &end, name);
		if (ports->kind == ONE_PORT) {
			uint8_t *at = put_proto(set_add(&map, l->b->a, NONE), ports->proto);

			put_verdict(l->b, &map, put_port(at, ports->ranges.items->low),
				    step.verdict);
			continue;
		}
		if (ports->ranges.n > 1)
			step.set = set_of_ports(l, ports, name);
		*list_add(l->b->a, &steps) = step;
	}
	keep_set(l->b, &map);
	chain = add_chain(l->b, group->name, NULL, 0, 0);
	if (map.n)
		term_lookup(l->b, add_rule(l->b, chain, 0, NULL, NONE), TERM_VMAP, group->name,
			    LOAD_PROTO, l->way->port);
	list_each (step, &steps)
		add_step(l, chain, step);
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

/* Who is in one group goes to its chain; who is in several, to a chain that asks each of them. */
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
	place = new_name(l->ends, arena_printf(l->b->a, "%sat_", l->way->prefix), place);
	chain = add_chain(l->b, place, NULL, 0, 0);
	list_each (group, &m->groups)
		term_name(l->b, add_rule(l->b, chain, 0, NULL, NONE), TERM_JUMP,
			  l->groups.items[*group].name);
	m->verdict = verdict_to(false, place);
	return m->verdict;
}

/* The addresses of all groups, single ones or prefixes, as runs that say a membership. */
static struct runs runs_of_groups(struct dispatcher *d, struct arena *a, bool single)
{
	struct runs runs = {.within = join_memberships, .context = d};
	LIST(struct run) all = {0};

	for (uint32_t g = 0; g < d->l->groups.n; g++) {
		const struct peers *to = d->l->groups.items[g].to;

		for (uint32_t i = 0; i < to->n; i++)
			if (prefix_is_single(to->items[i].net) == single)
				*list_add(a, &all) =
					run_of_prefix(to->items[i].net, membership_of_group(d, g));
	}
	if (all.n)
		runs_cut(&runs, a, all.items, all.n);
	return runs;
}

static struct verdict verdict_of_run(struct dispatcher *d, const struct run *run)
{
	return verdict_of_membership(d, run->says, ip_format(ip_v4(run->low)).s);
}

static void build_destinations(struct dispatcher *d)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct runs runs = runs_of_groups(d, &scratch, true);
	struct set map = {.name = arena_printf(d->l->b->a, "%s" DESTINATIONS, d->l->way->prefix),
			  .key = {FIELD_IP4},
			  .n_key = 1,
			  .data = {FIELD_VERDICT},
			  .n_data = 1};
	struct builder *b = d->l->b;

	list_each (run, &runs.list) /* neighbours may have become one run */
		for (uint64_t ip = run->low; ip <= run->high; ip++)
			put_verdict(b, &map, put_ip(set_add(&map, b->a, NONE), ip_v4((uint32_t)ip)),
				    verdict_of_run(d, run));
	keep_set(b, &map);
}

/* An address may be in both maps: one is asked after the other. */
static void build_destination_ranges(struct dispatcher *d)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct runs runs = runs_of_groups(d, &scratch, false);
	struct set map = {
		.name = arena_printf(d->l->b->a, "%s" DESTINATION_RANGES, d->l->way->prefix),
		.key = {FIELD_IP4},
		.n_key = 1,
		.data = {FIELD_VERDICT},
		.n_data = 1,
		.interval = true};
	struct builder *b = d->l->b;

	list_each (run, &runs.list) {
		uint8_t *at = set_add(&map, b->a, NONE);

		at = put_ip(put_ip(at, ip_v4(run->low)), ip_v4(run->high));
		put_verdict(b, &map, at, verdict_of_run(d, run));
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
	group->name = new_name(l->ends, arena_printf(l->b->a, "%sto_", l->way->prefix),
			       grant->to_name ? grant->to_name
					      : prefix_format(grant->to->items[0].net).s);
	hash_index_grow(&l->groups_by_peers, l->b->a, &l->groups, i, l->groups.items[i].to->hash);
	return l->groups.n - 1;
}

void build_groups(struct ends *ends, const grouped_list *flows, enum way way)
{
	struct layout l = {.b = ends->b, .ends = ends, .way = &ways[way], .flows = flows};
	struct dispatcher d = {.l = &l};

	ends->way = way;
	for (uint32_t i = 0; i < flows->n; i++) {
		uint32_t group = group_of(&l, flows->items[i].grant);

		*list_add(l.b->a, &l.groups.items[group].flows) = i;
	}
	list_each (group, &l.groups)
		build_group(&l, group);
	build_destinations(&d);
	build_destination_ranges(&d);
}

void dispatch_groups(struct builder *b, struct chain *chain, enum way way)
{
	static const char *const maps[] = {DESTINATIONS, DESTINATION_RANGES};

	for (size_t i = 0; i < COUNT_OF(maps); i++) {
		const char *name = arena_printf(b->a, "%s%s", ways[way].prefix, maps[i]);

		if (ruleset_find_set(b->rs, name))
			term_lookup(b, add_rule(b, chain, 4, NULL, NONE), TERM_VMAP, name,
				    ways[way].destination);
	}
}
