/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/strict/senders.h"

#include "core/ports/ports.h"

static struct sender sender_of(const struct mac *mac, struct ip ip)
{
	struct sender sender = {.ip = ip};

	memcpy(sender.mac, mac->bytes, sizeof(sender.mac));
	return sender;
}

/* One that is on several networks may answer for its other addresses by this one. */
static void add_senders(struct sealed *sealed, struct arena *a,
			const struct engine_container *container, const struct mac *mac)
{
	list_each (own, &container->endpoints) {
		if (own->ip.family)
			*list_add(a, &sealed->senders) = sender_of(mac, own->ip);
		if (own->ip6.family)
			*list_add(a, &sealed->senders) = sender_of(mac, own->ip6);
	}
}

/* And by its other ones, if its routes lead there, for its address here. */
static void add_elsewhere(struct sealed *sealed, struct arena *a,
			  const struct engine_container *container, const struct engine_endpoint *e)
{
	struct mac mac;

	list_each (other, &container->endpoints)
		if (other != e && e->ip.family && mac_parse(&mac, other->mac))
			*list_add(a, &sealed->elsewhere) = sender_of(&mac, e->ip);
}

static void add_container(struct sealed *sealed, struct arena *a,
			  const struct engine_container *container, const struct engine_endpoint *e)
{
	struct mac mac;

	list_each (published, &container->published)
		*list_add(a, &sealed->published) =
			(struct published){published->port, published->proto};
	if (mac_parse(&mac, e->mac))
		add_senders(sealed, a, container, &mac);
	add_elsewhere(sealed, a, container, e);
}

/* Of containers that run: the engine says no MAC address of others. by_engine: as its networks. */
static void add_containers(struct arena *a, const struct engine *engine,
			   struct sealed *const *by_engine)
{
	list_each (container, &engine->containers)
		list_each (e, &container->endpoints) {
			const struct engine_network *network =
				container->running ? engine_find_network(engine, e->network) : NULL;
			struct sealed *sealed =
				network ? by_engine[network - engine->networks.items] : NULL;

			if (sealed)
				add_container(sealed, a, container, e);
		}
}

static struct sealed seal(const struct config *config, struct arena *a, uint32_t i,
			  const char *bridge)
{
	const struct network *n = &config->networks.items[i];
	struct sealed sealed = {.bridge = bridge, .network = i, .closed_to_host = !n->host};

	for (enum family f = 0; f < N_FAMILIES; f++)
		if (n->ipam[f].subnet.ip.family)
			*list_add(a, &sealed.subnets) = n->ipam[f].subnet;
	return sealed;
}

void strict_seal(struct flows *flows, struct arena *a, const struct config *config,
		 const char *const *bridges, const struct engine *engine)
{
	struct sealed **by_network, **by_engine;

	if (!config->stricts && !config->watches)
		return;
	list_reserve(a, &flows->sealed, config->networks.n); /* they stay where they are */
	list_reserve(a, &flows->watched, config->networks.n);
	by_network = arena_array(a, struct sealed *, config->networks.n);
	by_engine = arena_array(a, struct sealed *, engine->networks.n);
	for (uint32_t i = 0; i < config->networks.n; i++) {
		const struct network *n = &config->networks.items[i];
		const struct engine_network *e = engine_find_network(engine, n->name);
		struct sealed *sealed;

		if (!bridges[i] ||
		    (n->isolation != ISOLATION_STRICT && n->isolation != ISOLATION_AUDIT))
			continue;
		sealed = n->isolation == ISOLATION_STRICT ? list_add(a, &flows->sealed)
							  : list_add(a, &flows->watched);
		*sealed = seal(config, a, i, bridges[i]);
		by_network[i] = sealed;
		if (e)
			by_engine[e - engine->networks.items] = sealed;
	}
	list_each (address, &config->addresses)
		if (address->network != NONE && by_network[address->network])
			*list_add(a, &by_network[address->network]->declared) = address->ip;
	add_containers(a, engine, by_engine);
}

struct ruleset strict_keep_senders(struct arena *a, const struct ruleset *want,
				   const struct ruleset *have)
{
	struct ruleset kept = *want;

	kept.sets.items = NULL;
	kept.sets.n = kept.sets.cap = 0;
	list_each (set, &want->sets) {
		const struct set *stands =
			set->role == SET_SENDERS ? ruleset_find_set(have, set->name) : NULL;
		struct set *copy = list_add(a, &kept.sets);

		*copy = *set;
		if (!stands || stands->n_key != set->n_key)
			continue;
		copy->elements = stands->elements;
		copy->n = stands->n;
		copy->cap = stands->cap;
		copy->size = stands->size;
		copy->origins = arena_array(a, uint32_t, copy->n);
		for (uint32_t i = 0; i < copy->n; i++)
			copy->origins[i] = NONE;
	}
	return kept;
}
