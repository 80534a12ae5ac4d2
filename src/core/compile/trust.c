/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Networks of Docker >= 28 drop what comes in by a foreign bridge, unless they were told to trust
 * it. */
#include "core/compile/trust.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/hash_set.h"

#include <string.h>

enum { FIRST_WITH_TRUST = 28 }; /* Docker Engine */

struct truster {
	struct arena *a;
	const struct trusting *in;
	struct entrances entrances;
};

uint32_t trusting_slot(const struct trusting *in, struct place place)
{
	if (place.index != NONE)
		return place.index;
	return in->config->networks.n + (uint32_t)(place.engine - in->engine->networks.items);
}

/* It is no bridge of the engine's. */
static bool leads_outside(const struct engine *engine, const char *device)
{
	list_each (network, &engine->networks)
		if (network->bridge && !strcmp(network->bridge, device))
			return false;
	return strcmp(device, "lo") != 0;
}

/* The host's interface that packets from there come in by; NULL: unknown. */
static const char *way_in(const struct trusting *in, struct prefix from)
{
	const struct host_route *best = NULL;

	list_each (route, &in->facts->routes)
		if ((!route->to.len || prefix_covers(route->to, from)) &&
		    (!best || route->to.len > best->to.len))
			best = route;
	if (best)
		return best->device;
	list_each (route, &in->facts->routes) /* some part of the prefix is routed */
		if (prefix_covers(from, route->to) && leads_outside(in->engine, route->device))
			return route->device;
	return NULL;
}

struct place trusting_place(const struct trusting *in, struct prefix net, uint32_t network)
{
	struct place place = {.index = network, .net = net};

	if (network != NONE) {
		place.network = in->config->networks.items[network].name;
		place.bridge = place.entrance = in->bridges[network];
		if (in->facts->bridges) /* nobody else asks how it stands */
			place.engine = engine_find_network(in->engine, place.network);
		return place;
	}
	list_each (e, &in->engine->networks)
		if (e->bridge && prefix_covers(e->subnet, net)) {
			place.network = e->name;
			place.bridge = place.entrance = e->bridge;
			place.engine = e;
			return place;
		}
	place.entrance = way_in(in, net);
	return place;
}

/* Who comes from outside is told by where he comes in, and whether from anywhere. */
static uint64_t place_key(struct place place)
{
	if (place.network)
		return hash_text(place.network);
	return hash_word(place.entrance ? hash_text(place.entrance) : 0,
			 !place.net.len && !place.named);
}

place_list trusting_places(const struct trusting *in, struct arena *a, const struct peers *peers)
{
	place_list places = {0};
	struct hash_set seen = {0};

	for (uint32_t i = 0; i < peers->n; i++) {
		struct place place =
			trusting_place(in, peers->items[i].net, peers->items[i].network);

		if (peers->n == 1 || !hash_set_has_or_add(&seen, a, place_key(place)))
			*list_add(a, &places) = place;
	}
	return places;
}

place_list trusting_sources(const struct trusting *in, struct arena *a, const struct grant *grant)
{
	place_list places = trusting_places(in, a, grant->from);

	list_each (place, &places)
		if (grant->iface && !place->bridge) {
			place->entrance = grant->iface;
			place->named = true;
		}
	return places;
}

static bool has_name(const name_list *names, const char *name)
{
	list_each (known, names)
		if (!strcmp(*known, name))
			return true;
	return false;
}

/*
 * Packets from there will come to this network. Two declared networks come together once: only what
 * others have may have come before.
 */
static void trust(struct truster *t, struct place who, struct place whom)
{
	name_list *names = whom.bridge ? t->entrances.bridges : t->entrances.outside;

	if (!who.bridge || !whom.entrance)
		return;
	names += trusting_slot(t->in, who);
	if ((who.index != NONE && whom.index != NONE) || !has_name(names, whom.entrance))
		*list_add(t->a, names) = whom.entrance;
}

/* "br-a:br-b" */
static const char *join(struct arena *a, const name_list *bridges)
{
	AUTO_BUF struct buf text = {0};

	list_each (bridge, bridges) {
		buf_puts(&text, bridge == bridges->items ? "" : ":");
		buf_puts(&text, *bridge);
	}
	return arena_strdup(a, buf_text(&text));
}

static bool declares_trust(const struct network *network)
{
	list_each (option, &network->options)
		if (!strcmp(option->name, TRUSTED))
			return true;
	return false;
}

bool trusting_stays_within(struct place a, struct place b)
{
	return a.index != NONE && a.index == b.index;
}

static uint64_t pair_of(struct place a, struct place b)
{
	uint64_t one = place_key(a), other = place_key(b);

	return hash_word(one < other ? one : other, one < other ? other : one);
}

/* What answers from outside comes for the host's own address, which Docker lends to the flow. */
static void collect(struct truster *t)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct hash_set pairs = {0};

	list_each (grant, &t->in->flows->grants) {
		place_list from = trusting_sources(t->in, &scratch, grant);
		place_list to = trusting_places(t->in, &scratch, grant->to);

		list_each (src, &from)
			list_each (dst, &to) {
				if (hash_set_has_or_add(&pairs, t->a, pair_of(*src, *dst)))
					continue;
				*list_add(t->a, &t->entrances.pairs) =
					(struct place_pair){*src, *dst};
				if (trusting_stays_within(*src, *dst))
					continue;
				trust(t, *dst, *src);
				if (dst->bridge)
					trust(t, *src, *dst);
			}
		arena_reset(&scratch);
	}
}

struct entrances compile_trust(struct state *want, struct arena *a, const struct trusting *in)
{
	uint32_t n_declared = in->config->networks.n, n = n_declared + in->engine->networks.n;
	struct truster t = {.a = a, .in = in};

	if (in->engine->major < FIRST_WITH_TRUST)
		return t.entrances;
	t.entrances.bridges = arena_array(a, name_list, n);
	t.entrances.outside = arena_array(a, name_list, n);
	collect(&t);
	for (uint32_t i = 0; i < n_declared; i++)
		if (t.entrances.bridges[i].n && !declares_trust(&in->config->networks.items[i]))
			*list_add(a, &want->networks.items[i].options) =
				(struct pair){TRUSTED, join(a, &t.entrances.bridges[i])};
	return t.entrances;
}
