/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/flows/flows.h"

#include <string.h>

const struct icmp_types icmp_errors[] = {{4, 3, 3}, {4, 11, 12}, {6, 1, 4}};
const size_t n_icmp_errors = COUNT_OF(icmp_errors);

struct traffic traffic_of(enum proto proto)
{
	struct traffic every = {.proto = proto_number(proto), .high = UINT16_MAX};

	if (proto == PROTO_ECHO)
		every.low = every.high = ECHO_REQUEST;
	return every;
}

/* Each family has its own numbers. */
struct traffic traffic_in_family(struct traffic match, uint8_t family)
{
	if (family == 6 && match.proto == IPPROTO_ICMP && match.low == ECHO_REQUEST &&
	    match.high == ECHO_REQUEST)
		match.low = match.high = ECHO_REQUEST6;
	match.proto = protocol_in_family(match.proto, family);
	return match;
}

bool match_has_ports(struct traffic match)
{
	return protocol_has_ports(match.proto);
}

bool match_every_port(struct traffic match)
{
	return match.low == 0 && match.high == UINT16_MAX;
}

bool match_single_port(struct traffic match)
{
	return match_has_ports(match) && match.low == match.high;
}

bool match_holds(struct traffic match, uint8_t proto, uint16_t port)
{
	if (match.proto && match.proto != proto)
		return false;
	if (match_has_types(match))
		return port >= match.low && port <= match.high;
	return !match_has_ports((struct traffic){.proto = proto}) || !match_has_ports(match) ||
	       (port >= match.low && port <= match.high);
}

bool flows_matter(const struct flows *flows)
{
	return flows->grants.n || flows->translations.n || flows->own.n || flows->masquerades.n ||
	       flows->closed.n || flows->closed6.n || flows->bound.n || flows->denied.n ||
	       flows->audited.n || flows->sealed.n || flows->watched.n;
}

enum translation_rank translation_rank(const struct translation *t)
{
	if (t->from.ip.family)
		return RANK_SOURCE;
	return t->iface && match_single_port(t->match) && !t->share.of ? RANK_MAP : RANK_REST;
}

enum { FEW_PAIRS = 16 };

static bool all_single(const struct peers *peers)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (!prefix_is_single(peers->items[i].net))
			return false;
	return true;
}

bool flows_masquerade_by(const struct flows *flows, const struct bound_subnet *bound)
{
	list_each (m, &flows->masquerades)
		if (m->family == bound->subnet.ip.family && m->oface &&
		    !strcmp(m->oface, bound->bridge))
			return true;
	return false;
}

bool flows_masquerade_some(const struct flows *flows)
{
	list_each (t, &flows->translations)
		if (t->masquerade)
			return true;
	list_each (t, &flows->own)
		if (t->masquerade)
			return true;
	return false;
}

static bool is_behind(const struct flows *flows, struct prefix subnet, const char *bridge)
{
	list_each (bound, &flows->bound)
		if (!prefix_compare(bound->subnet, subnet) && !strcmp(bound->bridge, bridge))
			return true;
	return false;
}

const struct prefix *flows_hairpin_of(const struct flows *flows, const struct translation *t)
{
	list_each (subnet, &flows->hairpins)
		if (prefix_contains(*subnet, t->to) && t->iface &&
		    is_behind(flows, *subnet, t->iface))
			return subnet;
	return NULL;
}

bool grant_is_few_pairs(const struct grant *grant)
{
	return (uint64_t)grant->from->n * grant->to->n <= FEW_PAIRS && all_single(grant->from) &&
	       all_single(grant->to);
}

#define keep_of_family(part, a, whole, list, item_family)                                          \
	do {                                                                                       \
		(part)->list.items = NULL;                                                         \
		(part)->list.n = (part)->list.cap = 0;                                             \
		list_each (item, &(whole)->list)                                                   \
			if ((item_family) == family)                                               \
				*list_add(a, &(part)->list) = *item;                               \
	} while (0)

/*
 * Where sources are at home. On a bridge that has no subnet of this family nobody is: it gets an
 * entry without one.
 */
static void keep_homes(struct flows *part, struct arena *a, const struct flows *whole,
		       uint8_t family)
{
	const struct bound_subnet *homes = whole->homes.items;
	uint32_t before = 0;

	part->homes.items = NULL;
	part->homes.n = part->homes.cap = 0;
	for (uint32_t i = 0; i < whole->homes.n; i++) {
		bool last = i + 1 == whole->homes.n ||
			    strcmp(homes[i].bridge, homes[i + 1].bridge) != 0;

		if (homes[i].subnet.ip.family == family)
			*list_add(a, &part->homes) = homes[i];
		else if (last && part->homes.n == before)
			*list_add(a, &part->homes) =
				(struct bound_subnet){.bridge = homes[i].bridge};
		if (last)
			before = part->homes.n;
	}
}

struct flows flows_of_family(const struct flows *flows, struct arena *a, uint8_t family)
{
	struct flows part = *flows;

	if (!flows->ipv6)
		return family == 4 ? part : (struct flows){0};
	keep_of_family(&part, a, flows, grants, item->to->n ? item->to->items[0].net.ip.family : 4);
	keep_of_family(&part, a, flows, translations, item->to.family);
	keep_of_family(&part, a, flows, own, item->to.family);
	keep_of_family(&part, a, flows, masquerades, item->family);
	keep_of_family(&part, a, flows, bound, item->subnet.ip.family);
	keep_of_family(&part, a, flows, hairpins, item->ip.family);
	keep_of_family(&part, a, flows, lifts, item->from->items[0].net.ip.family);
	keep_of_family(&part, a, flows, to_host, item->from->items[0].net.ip.family);
	keep_homes(&part, a, flows, family);
	part.between = (interfaces){0};
	list_each (bridge, &flows->between) /* once, although it has a subnet of each */
		if (bridge == flows->between.items || strcmp(bridge[-1], *bridge) != 0)
			*list_add(a, &part.between) = *bridge;
	part.closed.cap = part.closed.n; /* what is added goes into a copy */
	if (family == 6)
		list_each (closed, &flows->closed6)
			*list_add(a, &part.closed) = *closed;
	return part;
}
