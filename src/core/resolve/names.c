/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks names up. An exact name is a number, and tables by number give its addresses. A prefix
 * matches a run of the sorted names.
 */
#include "base/hash.h"
#include "core/resolve/impl.h"

#include <stdlib.h>
#include <string.h>

static const size_t bearers[] = {
	[KIND_CONTAINER] = offsetof(struct address, container_name),
	[KIND_SELECTOR] = offsetof(struct address, selector),
	[KIND_SERVICE] = offsetof(struct address, service_name),
};

bool name_has_prefix(const char *name, const char *query)
{
	size_t len = strlen(query);
	char last = len ? query[len - 1] : '\0', next;

	if (!len || strncmp(name, query, len) != 0)
		return false;
	next = name[len];
	if (!next || strchr("-_.", next) || strchr("-_.", last))
		return true;
	/* web finds web1; web1 does not find web10 */
	return next >= '0' && next <= '9' && !(last >= '0' && last <= '9');
}

/* --- indexes --- */

static int by_name(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = a->name == b->name ? 0 : strcmp(a->name, b->name);

	return order ? order : (a->index > b->index) - (a->index < b->index);
}

static void add_entry(struct resolver *r, entry_list *list, const char *name, uint32_t index)
{
	if (name)
		*list_add(r->scratch, list) = (struct entry){name, index};
}

static void sort_entries(entry_list *list)
{
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), by_name);
}

/* From the last one on, so that every name's chain is in the order of the file. */
static void index_addresses(struct resolver *r, enum kind kind)
{
	uint32_t n = r->config->addresses.n, *first, *next;

	first = r->index.first[kind] = arena_array(r->scratch, uint32_t, r->config->names.n);
	next = r->index.next[kind] = arena_array(r->scratch, uint32_t, n);
	for (uint32_t i = n; i-- > 0;) {
		const struct address *at = &r->config->addresses.items[i];
		uint32_t name = *(const uint32_t *)((const char *)at + bearers[kind]);

		if (!name)
			continue;
		next[i] = first[name];
		first[name] = i + 1;
	}
}

static void index_networks(struct resolver *r)
{
	for (uint32_t i = 0; i < r->config->networks.n; i++) {
		const struct network *n = &r->config->networks.items[i];

		add_entry(r, &r->index.networks, n->key, i);
		if (strcmp(n->key, n->name) != 0)
			add_entry(r, &r->index.networks, n->name, i);
	}
	sort_entries(&r->index.networks);
}

void names_index(struct resolver *r)
{
	r->seen = arena_array(r->scratch, uint32_t, r->config->addresses.n);
	for (enum kind kind = 0; kind < N_KINDS; kind++)
		index_addresses(r, kind);
	index_networks(r);
}

/* Few files name a thing by the beginning of its name only. */
static void index_prefixes(struct resolver *r)
{
	for (uint32_t i = 0; i < r->config->addresses.n; i++) {
		const struct address *at = &r->config->addresses.items[i];

		add_entry(r, &r->index.prefixes, config_name(r->config, at->container_name), i);
		if (at->selector != at->container_name)
			add_entry(r, &r->index.prefixes, config_name(r->config, at->selector), i);
	}
	sort_entries(&r->index.prefixes);
	r->index.has_prefixes = true;
}

/* The first entry that does not sort before the name. */
static uint32_t lower_bound(const entry_list *list, const char *name)
{
	return first_not_before(list->n, i, strcmp(list->items[i].name, name) < 0);
}

/* --- lookups --- */

typedef LIST(struct peer) peer_list;

static void add_address(struct resolver *r, peer_list *peers, uint32_t i)
{
	struct ip ip = r->config->addresses.items[i].ip;

	if (r->seen[i] == r->stamp)
		return;
	r->seen[i] = r->stamp;
	*list_add(r->scratch, peers) =
		(struct peer){prefix_of(ip), i, r->config->addresses.items[i].network};
}

static peer_list find_exact(struct resolver *r, enum kind kind, uint32_t name)
{
	peer_list peers = {0};

	for (uint32_t i = r->index.first[kind][name]; i; i = r->index.next[kind][i - 1])
		add_address(r, &peers, i - 1);
	return peers;
}

static peer_list find_network(struct resolver *r, const char *query)
{
	const entry_list *list = &r->index.networks;
	peer_list peers = {0};

	for (uint32_t i = lower_bound(list, query);
	     i < list->n && !strcmp(list->items[i].name, query); i++)
		for (enum family f = 0; f < N_FAMILIES; f++) {
			uint32_t n = list->items[i].index;
			struct prefix subnet = r->config->networks.items[n].ipam[f].subnet;

			if (subnet.ip.family)
				*list_add(r->scratch, &peers) = (struct peer){subnet, NONE, n};
		}
	return peers;
}

static peer_list find_prefix(struct resolver *r, const char *query)
{
	const entry_list *list = &r->index.prefixes;
	size_t len = strlen(query);
	peer_list peers = {0};

	if (!r->index.has_prefixes)
		index_prefixes(r);
	for (uint32_t i = lower_bound(list, query);
	     i < list->n && !strncmp(list->items[i].name, query, len); i++)
		if (name_has_prefix(list->items[i].name, query))
			add_address(r, &peers, list->items[i].index);
	return peers;
}

static struct peer peer_of(const struct resolver *r, struct prefix net)
{
	return (struct peer){net,
			     prefix_is_single(net) ? config_address_of(r->config, net.ip) : NONE,
			     config_network_of(r->config, net)};
}

static peer_list find_literal(struct resolver *r, const char *query)
{
	peer_list peers = {0};
	struct prefix prefix;

	if (prefix_parse_any(&prefix, query) && prefix_is_usable(prefix))
		*list_add(r->scratch, &peers) = peer_of(r, prefix);
	return peers;
}

static peer_list find_any(struct resolver *r, const char *query)
{
	peer_list peers = {0};

	if (strcmp(query, "any") != 0)
		return peers;
	*list_add(r->scratch, &peers) = (struct peer){{ip_v4(0), 0}, NONE, NONE};
	if (r->config->has_ipv6)
		*list_add(r->scratch, &peers) =
			(struct peer){{(struct ip){.family = 6}, 0}, NONE, NONE};
	return peers;
}

static peer_list find_host(struct resolver *r, const char *query)
{
	peer_list peers = {0};

	if (!strcmp(query, "host"))
		*list_add(r->scratch, &peers) = (struct peer){.address = NONE, .network = NONE};
	return peers;
}

static peer_list find_kind(struct resolver *r, enum match match, uint32_t name, const char *query)
{
	switch (match) {
	case MATCH_LITERAL:
		return find_literal(r, query);
	case MATCH_CONTAINER:
		return find_exact(r, KIND_CONTAINER, name);
	case MATCH_SELECTOR:
		return find_exact(r, KIND_SELECTOR, name);
	case MATCH_SERVICE:
		return find_exact(r, KIND_SERVICE, name);
	case MATCH_NETWORK:
		return find_network(r, query);
	case MATCH_ANY:
		return find_any(r, query);
	case MATCH_HOST:
		return find_host(r, query);
	case MATCH_PREFIX:
		return find_prefix(r, query);
	case MATCH_LIST: /* find_members */
	case MATCH_NOTHING:
		break;
	}
	return (peer_list){0};
}

static uint64_t peers_hash(const peer_list *peers)
{
	uint64_t hash = HASH_START;

	list_each (peer, peers)
		hash = hash_more(hash, &peer->net, sizeof(peer->net));
	return hash;
}

static uint32_t common_network(const peer_list *peers)
{
	uint32_t network = peers->n ? peers->items->network : NONE;

	list_each (peer, peers)
		if (peer->network != network)
			return NONE;
	return network;
}

/* The kinds of names that a question is about, in their order. */
static const struct {
	enum match kinds[8];
	size_t n;
} questions[] = {
	[ASK_PEERS] = {{MATCH_LITERAL, MATCH_CONTAINER, MATCH_SELECTOR, MATCH_SERVICE,
			MATCH_NETWORK, MATCH_ANY, MATCH_PREFIX},
		       7},
	[ASK_SUBJECT] = {{MATCH_LITERAL, MATCH_CONTAINER, MATCH_SELECTOR, MATCH_SERVICE,
			  MATCH_NETWORK, MATCH_PREFIX},
			 6},
	[ASK_CONTAINER] = {{MATCH_CONTAINER, MATCH_SELECTOR, MATCH_PREFIX}, 3},
	[ASK_TARGETS] = {{MATCH_LITERAL, MATCH_CONTAINER, MATCH_SELECTOR, MATCH_SERVICE,
			  MATCH_NETWORK, MATCH_ANY, MATCH_HOST, MATCH_PREFIX},
			 8},
	[ASK_CLIENTS] = {{MATCH_LITERAL, MATCH_CONTAINER, MATCH_SELECTOR, MATCH_SERVICE,
			  MATCH_NETWORK, MATCH_ANY, MATCH_HOST, MATCH_PREFIX},
			 8},
};

/* Allocated as one block, because both parts are used together. */
static struct peers *new_peers(struct resolver *r, enum match match, const peer_list *found)
{
	struct peers *peers = arena_take(r->a, sizeof(*peers) + found->n * sizeof(*found->items));

	*peers = (struct peers){.items = (struct peer *)(peers + 1),
				.n = found->n,
				.match = match,
				.hash = peers_hash(found),
				.network = common_network(found)};
	list_each (peer, found) {
		peers->items[peer - found->items] = *peer;
		peers->has_host |= !peer->net.ip.family;
	}
	return peers;
}

static int by_net(const void *left, const void *right)
{
	return prefix_compare(((const struct peer *)left)->net, ((const struct peer *)right)->net);
}

/*
 * What the members mean together, sorted, each address and prefix once. A prefix within another one
 * stays: it may be a container, or a network that packets come from by a bridge of its own.
 */
static struct peers *find_members(struct resolver *r, const struct member_list *list,
				  enum question question)
{
	peer_list all = {0};
	uint32_t n = 0;

	list_reserve(r->scratch, &all, list->nets.n);
	list_each (net, &list->nets)
		*list_add(r->scratch, &all) = peer_of(r, *net);
	list_each (member, &list->names) {
		const struct peers *found =
			names_find(r, member->name, config_name(r->config, member->name), question);

		for (uint32_t i = 0; i < found->n; i++)
			*list_add(r->scratch, &all) = found->items[i];
	}
	if (all.n && list->names.n) /* nets are sorted */
		qsort(all.items, all.n, sizeof(*all.items), by_net);
	list_each (peer, &all)
		if (!n || prefix_compare(all.items[n - 1].net, peer->net) != 0)
			all.items[n++] = *peer;
	all.n = n;
	return new_peers(r, all.n ? MATCH_LIST : MATCH_NOTHING, &all);
}

/* All matches of the first kind that has any. */
struct peers *names_find(struct resolver *r, uint32_t name, const char *query,
			 enum question question)
{
	static const peer_list none;
	const struct member_list *list = config_list(r->config, name);

	if (list)
		return find_members(r, list, question);
	for (size_t i = 0; i < questions[question].n; i++) {
		enum match match = questions[question].kinds[i];
		peer_list peers;

		r->stamp++;
		peers = find_kind(r, match, name, query);
		if (peers.n)
			return new_peers(r, match, &peers);
	}
	return new_peers(r, MATCH_NOTHING, &none);
}
