/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random policies over a small world of addresses and ports, the same ones for the same seed. */
#pragma once

#include "core/program/groups.h"
#include "unit/random.h"

#include <netinet/in.h>

enum { MOST_GRANTS = 12, MOST_PEERS = 9 };

struct scene {
	struct arena a;
	struct grant grants[MOST_GRANTS];
	uint32_t n;
	struct ruleset rs;
	bool counted;
};

static inline uint8_t some_family(void)
{
	return below(2) ? 6 : 4;
}

/* 0-63 is where peers are. IPv6's six bits stand on both sides of the middle, 64 bits apart. */
static inline struct ip some_address(uint8_t family, uint32_t n)
{
	struct ip ip = {.family = 6, .bytes = {0xfd}};

	if (family == 4)
		return ip_v4(0x0a000000 | n);
	ip.bytes[7] = (uint8_t)(n >> 3);
	ip.bytes[15] = n & 7;
	return ip;
}

/* Prefixes of all lengths that nest in a small part of the world. */
static inline struct prefix some_prefix(uint8_t family)
{
	struct prefix p = prefix_of(some_address(family, below(64)));

	if (below(3) == 0)
		p.len = (uint8_t)(family == 4 ? 24 + below(9) : (below(2) ? 56 : 120) + below(9));
	if (below(40) == 0)
		p.len = 0;
	return prefix_canonical(p);
}

static inline const struct peers *some_peers(struct scene *s, uint8_t family, bool anybody)
{
	struct peers *peers = arena_new(&s->a, struct peers);
	uint32_t n = 1 + below(below(2) ? MOST_PEERS : 2);

	peers->items = arena_array(&s->a, struct peer, n);
	for (uint32_t i = 0; i < n; i++) {
		struct prefix net = some_prefix(family);

		while (!net.len && (!anybody || n > 1))
			net = some_prefix(family);
		peers->items[peers->n++] = (struct peer){net, NONE, NONE};
		peers->hash = hash_more(peers->hash, &net, sizeof(net));
	}
	return peers;
}

static inline struct traffic some_traffic(void)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 0};
	struct traffic t = {.proto = protos[below(4)], .high = UINT16_MAX};

	if (!match_has_ports(t) || below(6) == 0)
		return t;
	t.low = (uint16_t)(80 + below(12));
	t.high = (uint16_t)(t.low + (below(2) ? 0 : below(6)));
	return t;
}

/* Some of them are a list or a service that another policy names, too. */
static inline const struct peers *some_end(struct scene *s, uint32_t n, uint8_t family, bool from)
{
	const struct grant *other = n && below(3) == 0 ? &s->grants[below(n)] : NULL;

	if (other && other->from->items[0].net.ip.family == family)
		return from ? other->from : other->to;
	return some_peers(s, family, from);
}

static const char *const interface_names[] = {"eth0", "wg0"};

static inline void random_scene(struct scene *s, bool counted)
{
	*s = (struct scene){.n = 1 + below(MOST_GRANTS), .counted = counted};
	for (uint32_t i = 0; i < s->n; i++) {
		struct grant *g = &s->grants[i];
		struct traffic *matches = arena_array(&s->a, struct traffic, 4);

		uint8_t family = some_family();

		g->from = some_end(s, i, family, true);
		g->to = some_end(s, i, family, false);
		g->from_name = below(2) ? arena_printf(&s->a, "list %u", below(3)) : NULL;
		g->to_name = below(2) ? arena_printf(&s->a, "shop%u", below(3)) : NULL;
		g->iface = below(4) ? NULL : interface_names[below(2)];
		g->matches = matches;
		for (uint32_t n = 1 + below(3); g->n_matches < n;)
			matches[g->n_matches++] = some_traffic();
		g->origin = i;
	}
}

static inline void build(struct scene *s)
{
	struct hooks hooks = {.accept = 2, .between = 3, .raw = 1};
	struct builder b = {.rs = &s->rs, .a = &s->a, .hooks = &hooks, .counted = s->counted};
	grouped_list flows = {0};

	for (uint32_t i = 0; i < s->n; i++)
		for (uint32_t m = 0; m < s->grants[i].n_matches; m++)
			*list_add(&s->a, &flows) =
				(struct grouped){&s->grants[i], s->grants[i].matches[m]};
	add_chain(&b, "admit");
	build_groups(&b, &flows, WAY_NEW);
	build_groups(&b, &flows, WAY_ON);
	build_groups(&b, &flows, WAY_REPLY);
	dispatch_groups(&b, add_chain(&b, "fresh"), WAY_NEW);
	dispatch_groups(&b, add_chain(&b, "later"), WAY_ON);
	dispatch_groups(&b, add_chain(&b, "reply"), WAY_REPLY);
	s->rs.exists = true;
}
