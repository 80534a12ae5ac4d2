/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/brake.h"

#include "base/order.h"

#include <stdlib.h>
#include <string.h>

enum { EXAMPLES = 3, EVERY_PORT = UINT16_MAX };

static const struct {
	uint32_t least; /* smaller losses never hold a file */
	const char *words;
} kinds[N_LOST] = {
	[LOST_CONNECTIONS] = {4, "containers would be disconnected"},
	[LOST_NETWORKS] = {4, "networks would be removed"},
	[LOST_POLICIES] = {20, "policies would be closed"},
	[LOST_LISTED] = {20, "prefixes would leave their lists"},
};

static bool is_too_much(const struct loss *loss, enum lost kind)
{
	return loss->go >= kinds[kind].least && loss->go > loss->stand / 2;
}

/* --- losses, with the first few names --- */

struct counting {
	struct loss *loss;
	struct arena *a;
	const char *names;
};

static void count(struct counting *c, bool goes, const char *name)
{
	c->loss->stand++;
	if (!goes)
		return;
	if (c->loss->go++ < EXAMPLES)
		c->names = arena_printf(c->a, "%s%s%s", c->names, *c->names ? ", " : "", name);
}

static void finish(struct counting *c)
{
	uint32_t more = c->loss->go > EXAMPLES ? c->loss->go - EXAMPLES : 0;

	c->loss->examples = more ? arena_printf(c->a, "%s and %u more", c->names, more) : c->names;
}

/* --- connections --- */

struct member {
	const char *name;
	uint32_t connections;
};

/* The containers that a file declares, and how many networks each is connected to. */
struct members {
	LIST(struct member) list;
	struct hash_index by_name;
};

/* A container on a network, by whatever addresses. */
struct place {
	uint32_t name, network;
};

/* How many networks each container is connected to, by its name's number. */
static uint32_t *count_connections(struct arena *a, const struct config *config)
{
	uint32_t *connections = arena_array(a, uint32_t, config->names.n), n = 0;
	struct place *places = arena_array(a, struct place, config->addresses.n);
	const uint32_t *order;

	list_each (address, &config->addresses)
		if (address->network != NONE)
			places[n++] = (struct place){address_container(address), address->network};
	order = order_by_bytes(a, places, n, sizeof(*places), sizeof(*places));
	for (uint32_t i = 0; i < n; i++)
		if (!i || memcmp(&places[order[i]], &places[order[i - 1]], sizeof(*places)) != 0)
			connections[places[order[i]].name]++;
	return connections;
}

static void find_members(struct members *m, struct arena *a, const struct config *config)
{
	uint32_t *connections;

	if (!config)
		return;
	connections = count_connections(a, config);
	for (uint32_t i = 1; i < config->names.n; i++)
		if (connections[i])
			*list_add(a, &m->list) =
				(struct member){config_name(config, i), connections[i]};
	if (m->list.n)
		hash_index_names(&m->by_name, a, &m->list);
}

static uint32_t connections_of(const struct members *m, const char *name)
{
	uint32_t at = hash_index_find(&m->by_name, hash_text(name), i,
				      !strcmp(m->list.items[i].name, name));

	return at == NONE ? 0 : m->list.items[at].connections;
}

static uint32_t managed_connections(const struct engine_container *c)
{
	uint32_t n = 0;

	list_each (endpoint, &c->endpoints)
		n += endpoint->managed;
	return n;
}

static void look_at_containers(struct brake *b, struct arena *a, const struct engine *engine,
			       const struct config *before, const struct config *wanted)
{
	struct counting c = {.loss = &b->losses[LOST_CONNECTIONS], .a = a, .names = ""};
	struct members old = {0}, new = {0};

	find_members(&old, a, before);
	find_members(&new, a, wanted);
	list_each (container, &engine->containers) {
		uint32_t stand = managed_connections(container);
		uint32_t kept = before ? connections_of(&old, container->name) : stand;

		stand = stand < kept ? stand : kept;
		if (stand)
			count(&c, connections_of(&new, container->name) < stand, container->name);
	}
	for (uint32_t i = 0; i < old.list.n && !engine->up; i++) {
		const struct member *member = &old.list.items[i];

		count(&c, connections_of(&new, member->name) < member->connections, member->name);
	}
	finish(&c);
}

/* --- networks --- */

static bool has_name(const struct config *config, const char *name)
{
	list_each (network, &config->networks)
		if (!strcmp(network->name, name))
			return true;
	return false;
}

static bool has_subnet(const struct config *config, struct prefix subnet)
{
	uint32_t i = subnet.ip.family ? config_network_of(config, subnet) : NONE;

	return i != NONE &&
	       !prefix_compare(config->networks.items[i].ipam[ip_family(subnet.ip)].subnet, subnet);
}

/* By subnet first: that is an indexed look-up, and most networks keep theirs. */
static bool has_network(const struct config *config, const char *name, const struct ipam *ipam)
{
	return has_subnet(config, ipam[FAMILY_4].subnet) ||
	       has_subnet(config, ipam[FAMILY_6].subnet) || has_name(config, name);
}

static void look_at_networks(struct brake *b, struct arena *a, const struct engine *engine,
			     const struct config *before, const struct config *wanted)
{
	struct counting c = {.loss = &b->losses[LOST_NETWORKS], .a = a, .names = ""};

	list_each (network, &engine->networks)
		if (network->managed &&
		    (!before || has_network(before, network->name, network->ipam)))
			count(&c, !has_network(wanted, network->name, network->ipam),
			      network->name);
	for (uint32_t i = 0; before && i < before->networks.n && !engine->up; i++) {
		const struct network *network = &before->networks.items[i];

		count(&c, !has_network(wanted, network->name, network->ipam), network->name);
	}
	finish(&c);
}

/* --- policies --- */

static bool waits(const struct declared *d, const struct policy *p)
{
	return resolved_policy(d->resolution, d->config, p).waiting != NULL;
}

/* Maps the name numbers of one file to those of the other; NONE: the other has no such name. */
static const uint32_t *translate_names(struct arena *a, const struct config *from,
				       const struct config *to)
{
	uint32_t *numbers = arena_array(a, uint32_t, from->names.n);
	struct hash_index index = {0};

	for (uint32_t i = 1; i < from->names.n; i++) {
		const char *name = config_label(from, i);

		numbers[i] = i;
		if (i < to->names.n && !strcmp(name, config_label(to, i)))
			continue;
		if (!index.cap) { /* in most files names appear in the same order */
			hash_index_reserve(&index, a, to->names.n);
			for (uint32_t k = 1; k < to->names.n; k++)
				hash_index_add(&index, hash_text(config_label(to, k)), k);
		}
		numbers[i] = hash_index_find(&index, hash_text(name), k,
					     !strcmp(config_label(to, k), name));
	}
	return numbers;
}

struct comparison {
	const struct declared *before, *wanted;
	const uint32_t *numbers; /* maps the wanted file's names to those of the file before */
	struct arena *a;
};

static bool is_same_policy(const struct comparison *c, const struct policy *old,
			   const struct policy *new)
{
	return old->nat == new->nat && old->protos == new->protos && old->n_ports == new->n_ports &&
	       old->subject == c->numbers[new->subject] && old->from == c->numbers[new->from] &&
	       old->to == c->numbers[new->to] && old->name == c->numbers[new->name] &&
	       old->iface == c->numbers[new->iface] &&
	       !memcmp(policy_ports(c->before->config, old), policy_ports(c->wanted->config, new),
		       old->n_ports * sizeof(struct port_range));
}

/*
 * Most edits leave most policies where they were, counted from the beginning or the end. Comparing
 * these first finds half of them unchanged without an index. False: more must be compared.
 */
static bool half_is_in_its_place(const struct comparison *c)
{
	const struct policy *old = c->before->config->policies.items;
	const struct policy *new = c->wanted->config->policies.items;
	uint32_t n_old = c->before->config->policies.n, n_new = c->wanted->config->policies.n;
	uint32_t n = n_old < n_new ? n_old : n_new, at = 0, kept = 0;

	for (; at < n && kept < (n_old + 1) / 2 && is_same_policy(c, &old[at], &new[at]); at++)
		kept += !waits(c->before, &old[at]) && !waits(c->wanted, &new[at]);
	for (; at < n && kept < (n_old + 1) / 2 && is_same_policy(c, &old[--n_old], &new[--n_new]);
	     at++)
		kept += !waits(c->before, &old[n_old]) && !waits(c->wanted, &new[n_new]);
	return kept >= (c->before->config->policies.n + 1) / 2;
}

static uint64_t hash_name(uint64_t hash, const struct config *config, uint32_t name)
{
	return name ? hash_word(hash, hash_text(config_label(config, name))) : hash_word(hash, 0);
}

/* A policy's two ends and its place, as written and as addresses. */
enum spelling { BY_NAMES, BY_ADDRESSES, N_SPELLINGS };

static uint64_t ends_of(const struct declared *d, const struct policy *p, enum spelling spelling)
{
	uint64_t hash = hash_word(HASH_START, (uint64_t)p->nat << 1 | spelling);
	struct resolved r = resolved_policy(d->resolution, d->config, p);

	hash = hash_name(hash, d->config, p->iface);
	if (spelling == BY_ADDRESSES) {
		hash = hash_word(hash_word(hash, r.subject->hash), r.from->hash);
		hash = hash_word(hash, r.to->hash);
		return r.container ? hash_word(hash, hash_text(r.container)) : hash_word(hash, 0);
	}
	hash = hash_name(hash_name(hash, d->config, p->subject), d->config, p->from);
	return hash_name(hash_name(hash, d->config, p->to), d->config, p->name);
}

/* Port ranges of one protocol between two ends. */
struct span {
	uint64_t ends; /* with the protocol */
	uint16_t low, high;
};

typedef LIST(struct span) span_list;

/* A part of icmp closes less than all of it. */
static uint8_t whole_protos(const struct policy *p)
{
	return p->protos & PROTO_ECHO ? (p->protos & (uint8_t)~PROTO_ECHO) | PROTO_ICMP : p->protos;
}

static void add_spans(span_list *spans, struct arena *a, const struct declared *d,
		      const struct policy *p, uint64_t ends)
{
	const struct port_range *ports = policy_ports(d->config, p);

	for (uint32_t set = whole_protos(p); set; set &= set - 1) {
		uint64_t key = hash_word(ends, set & -set);

		if (!p->n_ports)
			*list_add(a, spans) = (struct span){key, 0, EVERY_PORT};
		for (uint32_t i = 0; i < p->n_ports; i++)
			*list_add(a, spans) = (struct span){key, ports[i].low, ports[i].high};
	}
}

static int by_ends(const void *left, const void *right)
{
	const struct span *a = left, *b = right;

	if (a->ends != b->ends)
		return a->ends < b->ends ? -1 : 1;
	return (a->low > b->low) - (a->low < b->low);
}

/* Joins overlapping ranges, so that a binary search finds the one that contains a port. */
static void merge_spans(span_list *spans)
{
	uint32_t n = 0;

	if (spans->n)
		qsort(spans->items, spans->n, sizeof(*spans->items), by_ends);
	for (uint32_t i = 0; i < spans->n; i++) {
		struct span *last = n ? &spans->items[n - 1] : NULL, *next = &spans->items[i];

		if (!last || last->ends != next->ends || last->high < next->low)
			spans->items[n++] = *next;
		else if (next->high > last->high)
			last->high = next->high;
	}
	spans->n = n;
}

static bool has_port_of(const span_list *spans, struct span sought)
{
	uint32_t i = first_not_before(
		spans->n, k,
		spans->items[k].ends < sought.ends ||
			(spans->items[k].ends == sought.ends && spans->items[k].high < sought.low));

	return i < spans->n && spans->items[i].ends == sought.ends &&
	       spans->items[i].low <= sought.high;
}

/* "any" includes all other protocols. */
static const uint8_t protos_like[] = {PROTO_TCP, PROTO_UDP, PROTO_SCTP, PROTO_ICMP, PROTO_ANY};

static bool admits_some(const span_list *spans, const struct declared *d, const struct policy *p,
			uint64_t ends)
{
	const struct port_range every = {0, EVERY_PORT}, *ports = policy_ports(d->config, p);

	for (size_t i = 0; i < COUNT_OF(protos_like); i++) {
		uint64_t key = hash_word(ends, protos_like[i]);

		if (!(whole_protos(p) & (protos_like[i] | PROTO_ANY)) &&
		    protos_like[i] != PROTO_ANY)
			continue;
		for (uint32_t k = 0; k < (p->n_ports ? p->n_ports : 1); k++) {
			struct port_range range = p->n_ports ? ports[k] : every;

			if (has_port_of(spans, (struct span){key, range.low, range.high}))
				return true;
		}
	}
	return false;
}

/* "api from proxy port 80" */
static const char *policy_words(struct arena *a, const struct config *config,
				const struct policy *p)
{
	const char *subject = p->subject ? config_name(config, p->subject) : "?", *words;

	if (p->nat != NAT_NO)
		words = arena_printf(a, "%s of %s", p->nat == NAT_DNAT ? "dnat" : "masquerade",
				     subject);
	else
		words = arena_printf(a, "%s %s %s", subject, p->from ? "from" : "to",
				     config_name(config, p->from ? p->from : p->to));
	return p->n_ports ? arena_printf(a, "%s port %u", words, policy_ports(config, p)[0].low)
			  : words;
}

static void compare_policies(struct counting *counting, const struct comparison *c)
{
	span_list spans = {0};

	list_each (p, &c->wanted->config->policies)
		if (!waits(c->wanted, p))
			for (enum spelling s = 0; s < N_SPELLINGS; s++)
				add_spans(&spans, c->a, c->wanted, p, ends_of(c->wanted, p, s));
	merge_spans(&spans);
	list_each (p, &c->before->config->policies) {
		bool stays = false;

		if (waits(c->before, p))
			continue;
		for (enum spelling s = 0; s < N_SPELLINGS && !stays; s++)
			stays = admits_some(&spans, c->before, p, ends_of(c->before, p, s));
		count(counting, !stays, stays ? "" : policy_words(c->a, c->before->config, p));
	}
}

static void look_at_policies(struct brake *b, struct arena *a, const struct declared *before,
			     const struct declared *wanted)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct comparison c = {.before = before, .wanted = wanted, .a = &scratch};
	struct counting counting = {.loss = &b->losses[LOST_POLICIES], .a = a, .names = ""};

	if (!before->config || before->config->policies.n < kinds[LOST_POLICIES].least)
		return;
	c.numbers = translate_names(&scratch, wanted->config, before->config);
	if (!half_is_in_its_place(&c))
		compare_policies(&counting, &c);
	finish(&counting);
}

/* --- lists in files, which programs write that may fail half way --- */

static const struct member_list *list_of_file(const struct config *config, const char *label)
{
	list_each (list, &config->lists)
		if (list->in_file && !strcmp(list->label, label))
			return list;
	return NULL;
}

/* Both are sorted. Of wider prefixes that began before, the one that ends last covers if any does.
 */
static void compare_listed(struct counting *c, struct arena *a, const struct member_list *old,
			   const struct member_list *new)
{
	struct prefix cover = {0};
	uint32_t n = 0;

	list_each (net, &old->nets) {
		bool goes;

		for (; n < new->nets.n &&prefix_compare(new->nets.items[n], *net) <= 0; n++)
			if (!prefix_covers(cover, new->nets.items[n]))
				cover = new->nets.items[n];
		goes = !prefix_covers(cover, *net);
		count(c, goes,
		      goes && c->loss->go < EXAMPLES ? arena_strdup(a, prefix_format(*net).s) : "");
	}
}

/* A list that is gone goes with its policies. */
static void look_at_lists(struct brake *b, struct arena *a, const struct config *before,
			  const struct config *wanted)
{
	struct counting c = {.loss = &b->losses[LOST_LISTED], .a = a, .names = ""};

	for (uint32_t i = 0; before && i < before->lists.n; i++) {
		const struct member_list *old = &before->lists.items[i];
		const struct member_list *new =
			old->in_file ? list_of_file(wanted, old->label) : NULL;

		if (new)
			compare_listed(&c, a, old, new);
	}
	finish(&c);
}

/* --- the whole --- */

void brake_look(struct brake *b, struct arena *a, const struct engine *engine,
		const struct declared *before, const struct declared *wanted)
{
	*b = (struct brake){0};
	look_at_containers(b, a, engine, before->config, wanted->config);
	look_at_networks(b, a, engine, before->config, wanted->config);
	look_at_policies(b, a, before, wanted);
	look_at_lists(b, a, before->config, wanted->config);
}

bool brake_holds(const struct brake *b)
{
	for (enum lost kind = 0; kind < N_LOST; kind++)
		if (is_too_much(&b->losses[kind], kind))
			return true;
	return false;
}

const char *brake_text(const struct brake *b, struct arena *a)
{
	const char *text = "";

	for (enum lost kind = 0; kind < N_LOST; kind++) {
		const struct loss *loss = &b->losses[kind];

		if (loss->go)
			text = arena_printf(a, "%s%s%u of %u %s (%s)", text, *text ? ", " : "",
					    loss->go, loss->stand, kinds[kind].words,
					    loss->examples);
	}
	return text;
}
