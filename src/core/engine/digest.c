/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hashes everything in the engine's answers that a plan depends on, to see whether it changed. */
#include "base/hash.h"
#include "core/engine/engine.h"

static uint64_t text(uint64_t hash, const char *t)
{
	return t ? hash_more(hash, t, strlen(t)) : hash_word(hash, 0);
}

static uint64_t ip(uint64_t hash, struct ip address)
{
	return hash_more(hash, &address, sizeof(address));
}

static uint64_t prefix(uint64_t hash, struct prefix p)
{
	return hash_more(hash, &p, sizeof(p));
}

static uint64_t network(uint64_t hash, const struct engine_network *n)
{
	hash = text(text(text(text(hash, n->id), n->name), n->driver), n->bridge);
	for (enum family f = 0; f < N_FAMILIES; f++)
		hash = prefix(prefix(ip(hash, n->ipam[f].gateway), n->ipam[f].subnet),
			      n->ipam[f].ip_range);
	list_each (subnet, &n->subnets)
		hash = prefix(hash, *subnet);
	list_each (option, &n->options)
		hash = text(text(hash, option->name), option->value);
	return hash_word(hash, (uint64_t)n->ipv6 << 2 | (uint64_t)n->internal << 1 | n->managed);
}

/* Not whether it is managed: that comes from inspect, and only for new containers. */
static uint64_t endpoint(uint64_t hash, const struct engine_endpoint *e)
{
	hash = text(text(text(hash, e->network), e->network_id), e->mac);
	hash = ip(ip(ip(hash, e->ip6), e->gateway6), e->configured6);
	return ip(ip(ip(hash, e->ip), e->gateway), e->configured);
}

static uint64_t container(uint64_t hash, const struct engine_container *c)
{
	hash = text(text(text(hash, c->id), c->name), c->network_mode);
	hash = hash_word(hash, c->running);
	list_each (e, &c->endpoints)
		hash = endpoint(hash, e);
	list_each (published, &c->published)
		hash = hash_word(hash, (uint64_t)published->proto << 16 | published->port);
	return hash;
}

uint64_t engine_digest(const struct engine *e)
{
	uint64_t hash = hash_word(HASH_START, (uint64_t)e->up << 32 | (uint64_t)e->firewall);

	hash = text(text(text(text(hash, e->version), e->api), e->id), e->info_refused);
	list_each (n, &e->networks)
		hash = network(hash, n);
	list_each (c, &e->containers)
		hash = container(hash, c);
	return hash;
}
