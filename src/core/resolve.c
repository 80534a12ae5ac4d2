/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names are looked up in sorted indexes: exact ones by bisection, prefixes as the run of names that
 * begin with the query. Answers are kept by query, since policies name the same few things; equal
 * names of a config are one pointer, so that a kept answer is found without reading the name.
 */
#include "core/resolve.h"

#include "base/hash.h"
#include "core/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name, and the address or network that bears it. */
struct entry {
	const char *name;
	uint32_t index;
};

typedef LIST(struct entry) entry_list;

enum kind { KIND_CONTAINER, KIND_SELECTOR, KIND_SERVICE, KIND_NETWORK, N_KINDS };

struct ip_entry {
	struct ip ip;
	uint32_t index;
};

struct index {
	entry_list kinds[N_KINDS];
	entry_list prefixes; /* container names and selectors */
	struct ip_entry *ips;
	uint32_t n_ips;
};

/* Of what a name is asked. */
enum question { ASK_PEERS, ASK_SUBJECT, ASK_SERVICE };

/* One query and its answer. */
struct answer {
	struct peers peers; /* first: resolved policies point to it */
	const char *query;
	enum question question;
	bool noted; /* that it is a prefix match */
};

struct resolver {
	struct arena *a;
	struct diags *diags;
	const struct config *config;
	struct index index;
	uint32_t *seen, stamp;	 /* addresses that the answer being made has already: == stamp */
	struct answer **answers; /* open hash table */
	uint32_t n_answers, cap_answers;
};

static const struct peers nobody;

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
	int order = strcmp(a->name, b->name);

	return order ? order : (a->index > b->index) - (a->index < b->index);
}

static int by_ip(const void *left, const void *right)
{
	const struct ip_entry *a = left, *b = right;

	return ip_compare(a->ip, b->ip);
}

static void add_entry(struct resolver *r, entry_list *list, const char *name, uint32_t index)
{
	if (name)
		*list_add(r->a, list) = (struct entry){name, index};
}

static void sort_entries(entry_list *list)
{
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), by_name);
}

static void build_index(struct resolver *r)
{
	struct index *x = &r->index;

	x->n_ips = r->config->addresses.n;
	x->ips = arena_array(r->a, struct ip_entry, x->n_ips);
	for (uint32_t i = 0; i < r->config->addresses.n; i++) {
		const struct address *at = &r->config->addresses.items[i];

		add_entry(r, &x->kinds[KIND_CONTAINER], at->container_name, i);
		add_entry(r, &x->kinds[KIND_SELECTOR], at->selector, i);
		add_entry(r, &x->kinds[KIND_SERVICE], at->service_name, i);
		add_entry(r, &x->prefixes, at->container_name, i);
		add_entry(r, &x->prefixes, at->selector, i);
		x->ips[i] = (struct ip_entry){at->ip, i};
	}
	for (uint32_t i = 0; i < r->config->networks.n; i++) {
		const struct network *n = &r->config->networks.items[i];

		add_entry(r, &x->kinds[KIND_NETWORK], n->key, i);
		if (strcmp(n->key, n->name) != 0)
			add_entry(r, &x->kinds[KIND_NETWORK], n->name, i);
	}
	for (int kind = 0; kind < N_KINDS; kind++)
		sort_entries(&x->kinds[kind]);
	sort_entries(&x->prefixes);
	if (x->n_ips)
		qsort(x->ips, x->n_ips, sizeof(*x->ips), by_ip);
}

/* The first entry that does not sort before the name. */
static uint32_t lower_bound(const entry_list *list, const char *name)
{
	uint32_t low = 0, high = list->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (strcmp(list->items[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- lookups --- */

typedef LIST(struct peer) peer_list;

static void add_address(struct resolver *r, peer_list *peers, uint32_t i)
{
	struct ip ip = r->config->addresses.items[i].ip;

	if (r->seen[i] == r->stamp)
		return;
	r->seen[i] = r->stamp;
	*list_add(r->a, peers) = (struct peer){prefix_of(ip), i};
}

static peer_list find_exact(struct resolver *r, enum kind kind, const char *query)
{
	const entry_list *list = &r->index.kinds[kind];
	peer_list peers = {0};

	for (uint32_t i = lower_bound(list, query);
	     i < list->n && !strcmp(list->items[i].name, query); i++) {
		uint32_t at = list->items[i].index;

		if (kind == KIND_NETWORK)
			*list_add(r->a, &peers) =
				(struct peer){r->config->networks.items[at].subnet, NONE};
		else
			add_address(r, &peers, at);
	}
	return peers;
}

static peer_list find_prefix(struct resolver *r, const char *query)
{
	const entry_list *list = &r->index.prefixes;
	size_t len = strlen(query);
	peer_list peers = {0};

	for (uint32_t i = lower_bound(list, query);
	     i < list->n && !strncmp(list->items[i].name, query, len); i++)
		if (name_has_prefix(list->items[i].name, query))
			add_address(r, &peers, list->items[i].index);
	return peers;
}

static uint32_t address_of(const struct resolver *r, struct ip ip)
{
	struct ip_entry key = {.ip = ip}, *found = NULL;

	if (r->index.n_ips)
		found = bsearch(&key, r->index.ips, r->index.n_ips, sizeof(key), by_ip);
	return found ? found->index : NONE;
}

static peer_list find_literal(struct resolver *r, const char *query)
{
	peer_list peers = {0};
	struct prefix prefix;
	struct ip ip;

	if (ip_parse(&ip, query))
		prefix = prefix_of(ip);
	else if (!prefix_parse(&prefix, query))
		return peers;
	*list_add(r->a, &peers) =
		(struct peer){prefix_canonical(prefix),
			      prefix_is_single(prefix) ? address_of(r, prefix.ip) : NONE};
	return peers;
}

static peer_list find_any(struct resolver *r, const char *query)
{
	peer_list peers = {0};

	if (!strcmp(query, "any"))
		*list_add(r->a, &peers) = (struct peer){{ip_v4(0), 0}, NONE};
	return peers;
}

static peer_list find_kind(struct resolver *r, enum match match, const char *query)
{
	switch (match) {
	case MATCH_LITERAL:
		return find_literal(r, query);
	case MATCH_CONTAINER:
		return find_exact(r, KIND_CONTAINER, query);
	case MATCH_SELECTOR:
		return find_exact(r, KIND_SELECTOR, query);
	case MATCH_SERVICE:
		return find_exact(r, KIND_SERVICE, query);
	case MATCH_NETWORK:
		return find_exact(r, KIND_NETWORK, query);
	case MATCH_ANY:
		return find_any(r, query);
	case MATCH_PREFIX:
		return find_prefix(r, query);
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

/* The kinds of names that a question is about, in their order. */
static const struct {
	enum match kinds[7];
	size_t n;
} questions[] = {
	[ASK_PEERS] = {{MATCH_LITERAL, MATCH_CONTAINER, MATCH_SELECTOR, MATCH_SERVICE,
			MATCH_NETWORK, MATCH_ANY, MATCH_PREFIX},
		       7},
	[ASK_SUBJECT] = {{MATCH_CONTAINER, MATCH_SELECTOR, MATCH_PREFIX}, 3},
	[ASK_SERVICE] = {{MATCH_SERVICE}, 1},
};

/* All matches of the first kind that has any. */
static struct peers find(struct resolver *r, const char *query, enum question question)
{
	for (size_t i = 0; i < questions[question].n; i++) {
		enum match match = questions[question].kinds[i];
		peer_list peers;

		r->stamp++;
		peers = find_kind(r, match, query);
		if (peers.n)
			return (struct peers){peers.items, peers.n, match, peers_hash(&peers)};
	}
	return (struct peers){0};
}

/* --- answers that are kept --- */

static struct answer **slot_of(const struct resolver *r, const char *query, enum question question)
{
	uint64_t i = hash_word(HASH_START, (uintptr_t)query ^ (uint64_t)question << 60);
	struct answer **slot;

	for (;; i++) {
		slot = &r->answers[i & (r->cap_answers - 1)];
		if (!*slot || ((*slot)->query == query && (*slot)->question == question))
			return slot;
	}
}

static void grow(struct resolver *r)
{
	struct answer **old = r->answers;
	uint32_t cap = r->cap_answers;

	r->cap_answers = cap ? 2 * cap : 256;
	r->answers = arena_array(r->a, struct answer *, r->cap_answers);
	for (uint32_t i = 0; i < cap; i++)
		if (old[i])
			*slot_of(r, old[i]->query, old[i]->question) = old[i];
}

static struct answer *ask(struct resolver *r, const char *query, enum question question)
{
	struct answer **slot, *answer;

	if (2 * r->n_answers >= r->cap_answers)
		grow(r);
	slot = slot_of(r, query, question);
	answer = *slot;
	if (answer)
		return answer;
	r->n_answers++;
	answer = arena_new(r->a, struct answer);
	*answer = (struct answer){
		.query = query, .question = question, .peers = find(r, query, question)};
	*slot = answer;
	return answer;
}

/* A prefix match is a guess: say once what it found. */
static void note_prefix(struct resolver *r, struct answer *answer, uint32_t i, const char *field)
{
	const char *found = "";

	if (answer->peers.match != MATCH_PREFIX || answer->noted)
		return;
	answer->noted = true;
	for (uint32_t p = 0; p < answer->peers.n && p < 8; p++) {
		const struct address *at =
			&r->config->addresses.items[answer->peers.items[p].address];

		found = arena_printf(r->a, "%s%s%s", found, p ? ", " : "", address_container(at));
	}
	diag_at(r->diags, SEVERITY_NOTE, place_of_policy(r->a, i, field),
		"\"%s\" is the beginning of %s%s", answer->query, found,
		answer->peers.n > 8 ? " and others" : "");
}

/* --- policies --- */

/* Waits for a name: said once as a warning, and kept for plan. */
static void wait_for(struct resolver *r, struct resolved *out, uint32_t i, const char *field,
		     const char *name)
{
	diag_at(r->diags, SEVERITY_WARNING, place_of_policy(r->a, i, field),
		"nothing in this file is named \"%s\"; the policy waits", name);
	if (!out->waiting)
		out->waiting =
			arena_printf(r->a, "%s: nothing in the file is named \"%s\"", field, name);
}

static const struct peers *look_up(struct resolver *r, struct resolved *out, uint32_t i,
				   const char *field, const char *query)
{
	struct answer *answer = ask(r, query, ASK_PEERS);

	if (!answer->peers.n)
		wait_for(r, out, i, field, query);
	note_prefix(r, answer, i, field);
	return &answer->peers;
}

static void resolve_subject(struct resolver *r, struct resolved *out, uint32_t i, bool needed)
{
	const struct policy *p = &r->config->policies.items[i];
	const char *field = p->selector		? "selector"
			    : p->container_name ? "container_name"
						: "service_name";
	const char *query = p->selector		? p->selector
			    : p->container_name ? p->container_name
						: p->service_name;
	struct answer *answer;

	if (!query)
		return;
	answer = ask(r, query, p->selector || p->container_name ? ASK_SUBJECT : ASK_SERVICE);
	out->subject = &answer->peers;
	if (needed && !answer->peers.n)
		wait_for(r, out, i, field, query);
	else if (needed)
		note_prefix(r, answer, i, field);
}

/* `name` is a container: one of the file if it is, else whatever the engine calls so. */
static void resolve_name(struct resolver *r, struct resolved *out, uint32_t i)
{
	const struct policy *p = &r->config->policies.items[i];
	struct answer *answer;
	const char *found;

	if (!p->name)
		return;
	answer = ask(r, p->name, ASK_SUBJECT);
	out->container = p->name;
	if (!answer->peers.n)
		return;
	found = address_container(&r->config->addresses.items[answer->peers.items[0].address]);
	for (uint32_t k = 1; k < answer->peers.n; k++)
		if (strcmp(found,
			   address_container(
				   &r->config->addresses.items[answer->peers.items[k].address])) !=
		    0)
			return; /* several containers: the engine's word decides */
	out->container = found;
	note_prefix(r, answer, i, "name");
}

static void resolve_target(struct resolver *r, struct resolved *out, uint32_t i)
{
	const struct policy *p = &r->config->policies.items[i];
	const char *wrong;

	out->to = look_up(r, out, i, "to", p->to.items[0]);
	if (!out->to->n)
		return;
	if (out->to->n > 1)
		wrong = arena_printf(r->a,
				     "\"%s\" is %u addresses; several targets come in a later "
				     "version, name one",
				     p->to.items[0], out->to->n);
	else if (!prefix_is_single(out->to->items[0].net))
		wrong = arena_printf(r->a, "\"%s\" is no single address", p->to.items[0]);
	else if (out->to->items[0].net.ip.family != 4)
		wrong = "IPv6 is not built yet";
	else
		return;
	diag_at(r->diags, SEVERITY_ERROR, place_of_policy(r->a, i, "to"), "%s", wrong);
}

static void resolve_policy(struct resolver *r, struct resolved *out, uint32_t i)
{
	const struct policy *p = &r->config->policies.items[i];
	bool placed = p->name || p->iface;

	out->from = out->subject = out->to = &nobody;
	if (p->from)
		out->from = look_up(r, out, i, "from", p->from);
	if (p->nat == NAT_DNAT)
		resolve_target(r, out, i);
	else if (p->nat == NAT_MASQUERADE && p->to.n)
		out->to = look_up(r, out, i, "to", p->to.items[0]);
	resolve_subject(r, out, i, p->nat == NAT_NO ? p->from != NULL : !placed && !p->from);
	resolve_name(r, out, i);
}

void resolve(struct resolution *resolution, struct diags *diags, struct arena *a,
	     const struct config *config)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct resolver r = {.a = a, .diags = diags, .config = config};

	r.seen = arena_array(&scratch, uint32_t, config->addresses.n);
	resolution->n = config->policies.n;
	resolution->policies = arena_array(a, struct resolved, config->policies.n);
	build_index(&r);
	for (uint32_t i = 0; i < config->policies.n; i++)
		resolve_policy(&r, &resolution->policies[i], i);
	resolve_check(resolution, diags, a, config);
}
