/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Networks of Docker >= 28 drop what comes in by a foreign bridge, unless they were told to trust
 * it. */
#include "core/compile/trust.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/seen.h"

#include <string.h>

#define TRUSTED "com.docker.network.bridge.trusted_host_interfaces"

enum { FIRST_WITH_TRUST = 28 }; /* Docker Engine */

struct truster {
	struct arena *a;
	const struct trusting *in;
	struct findings *findings;
	name_list *trusted; /* of each declared network: the bridges */
};

static const char *trusted_by(const struct engine_network *network)
{
	list_each (option, &network->options)
		if (!strcmp(option->name, TRUSTED))
			return option->value;
	return "";
}

/* network: the declared one that holds it, or NONE. */
static struct place place_of_peer(const struct trusting *in, const struct peer *peer)
{
	if (peer->network != NONE)
		return (struct place){in->config->networks.items[peer->network].name,
				      in->bridges[peer->network], peer->network};
	list_each (e, &in->engine->networks)
		if (e->bridge && prefix_covers(e->subnet, peer->net))
			return (struct place){e->name, e->bridge, NONE};
	return (struct place){.index = NONE};
}

place_list trusting_places(const struct trusting *in, struct arena *a, const struct peers *peers)
{
	place_list places = {0};
	struct seen seen = {0};

	for (uint32_t i = 0; i < peers->n; i++) {
		struct place place = place_of_peer(in, &peers->items[i]);

		if (!seen_before(&seen, a, place.network ? hash_text(place.network) : 0))
			*list_add(a, &places) = place;
	}
	return places;
}

/* Two declared networks come together once: only a bridge of others may have come before. */
static void trust(struct truster *t, struct place who, struct place whom)
{
	if (who.index == NONE || !whom.bridge)
		return;
	if (whom.index == NONE)
		list_each (bridge, &t->trusted[who.index])
			if (!strcmp(*bridge, whom.bridge))
				return;
	*list_add(t->a, &t->trusted[who.index]) = whom.bridge;
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

/* A network that stands keeps the trust that it was made with. */
static bool lacks_trust(const struct truster *t, struct place who, struct place whom)
{
	const struct engine_network *e = engine_find_network(t->in->engine, who.network);

	return e && !text_lists(trusted_by(e), ':', whom.bridge);
}

static void say_what_lacks_trust(struct truster *t, uint32_t origin, struct place who,
				 struct place whom)
{
	if (!who.network || !whom.bridge || !lacks_trust(t, who, whom))
		return;
	finding_of_policy(t->findings, t->a, FINDING_CONFLICT, origin,
			  CANNOT "network \"%s\" drops what comes in by %s; create it "
				 "with the option " TRUSTED "=%s, or start dockerd with "
				 "--allow-direct-routing",
			  who.network, whom.bridge, whom.bridge);
}

static bool declares_trust(const struct network *network)
{
	list_each (option, &network->options)
		if (!strcmp(option->name, TRUSTED))
			return true;
	return false;
}

/* What stays within a network comes in by its own bridge. */
static bool stays_within(struct place a, struct place b)
{
	return a.index != NONE && a.index == b.index;
}

static uint64_t pair_of(struct place a, struct place b)
{
	uint64_t one = a.network ? hash_text(a.network) : 0,
		 other = b.network ? hash_text(b.network) : 0;

	return hash_word(one < other ? one : other, one < other ? other : one);
}

static void collect(struct truster *t)
{
	struct seen pairs = {0};

	list_each (grant, &t->in->flows->grants) {
		place_list from = trusting_places(t->in, t->a, grant->from);
		place_list to = trusting_places(t->in, t->a, grant->to);

		list_each (src, &from)
			list_each (dst, &to) {
				if (stays_within(*src, *dst) ||
				    seen_before(&pairs, t->a, pair_of(*src, *dst)))
					continue;
				trust(t, *src, *dst);
				trust(t, *dst, *src);
			}
	}
}

/* Docker's own tables take no raw exception: what a network was not told to trust is dropped. */
static void say_what_is_dropped(struct truster *t)
{
	uint32_t said = NONE;

	list_each (grant, &t->in->flows->grants) {
		place_list from = trusting_places(t->in, t->a, grant->from);
		place_list to = trusting_places(t->in, t->a, grant->to);

		if (grant->origin == said)
			continue;
		said = grant->origin;
		list_each (src, &from)
			list_each (dst, &to) {
				if (stays_within(*src, *dst))
					continue;
				say_what_lacks_trust(t, said, *src, *dst);
				say_what_lacks_trust(t, said, *dst, *src);
			}
	}
}

void compile_trust(struct state *want, struct findings *findings, struct arena *a,
		   const struct trusting *in)
{
	struct truster t = {.a = a, .in = in, .findings = findings};

	if (in->engine->major < FIRST_WITH_TRUST)
		return;
	t.trusted = arena_array(a, name_list, in->config->networks.n);
	collect(&t);
	if (in->facts->docker_nftables)
		say_what_is_dropped(&t);
	for (uint32_t i = 0; i < in->config->networks.n; i++)
		if (t.trusted[i].n && !declares_trust(&in->config->networks.items[i]))
			*list_add(a, &want->networks.items[i].options) =
				(struct pair){TRUSTED, join(a, &t.trusted[i])};
}
