/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names are looked up in sorted indexes: exact ones by bisection, prefixes as the run of names that
 * begin with the query. Answers are kept by query, since policies name the same few things.
 */
#include "core/resolve.h"

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

struct index {
	entry_list kinds[N_KINDS];
	entry_list prefixes; /* container names and selectors */
	entry_list literals; /* addresses as text */
};

/* One query and its answer. */
struct answer {
	const char *query;
	bool subject;
	struct peers peers;
	bool noted; /* that it is a prefix match */
};

struct resolver {
	struct arena *a;
	struct diags *diags;
	const struct config *config;
	struct index index;
	struct answer *answers; /* open hash table */
	uint32_t n_answers, cap_answers;
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
	int order = strcmp(a->name, b->name);

	return order ? order : (a->index > b->index) - (a->index < b->index);
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

	for (uint32_t i = 0; i < r->config->addresses.n; i++) {
		const struct address *at = &r->config->addresses.items[i];

		add_entry(r, &x->kinds[KIND_CONTAINER], at->container_name, i);
		add_entry(r, &x->kinds[KIND_SELECTOR], at->selector, i);
		add_entry(r, &x->kinds[KIND_SERVICE], at->service_name, i);
		add_entry(r, &x->prefixes, at->container_name, i);
		add_entry(r, &x->prefixes, at->selector, i);
		add_entry(r, &x->literals, arena_strdup(r->a, ip_format(at->ip).s), i);
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
	sort_entries(&x->literals);
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

	list_each (peer, peers)
		if (peer->address == i)
			return;
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

static peer_list find_literal(struct resolver *r, const char *query)
{
	peer_list peers = {0};
	struct prefix prefix;
	struct ip ip;
	uint32_t at;

	if (ip_parse(&ip, query))
		prefix = prefix_of(ip);
	else if (!prefix_parse(&prefix, query))
		return peers;
	at = lower_bound(&r->index.literals, query);
	if (at < r->index.literals.n && !strcmp(r->index.literals.items[at].name, query))
		at = r->index.literals.items[at].index;
	else
		at = NONE;
	*list_add(r->a, &peers) = (struct peer){prefix_canonical(prefix), at};
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

/* All matches of the first kind that has any. */
static struct peers find(struct resolver *r, const char *query, const enum match *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		peer_list peers = find_kind(r, kinds[i], query);

		if (peers.n)
			return (struct peers){peers.items, peers.n, kinds[i]};
	}
	return (struct peers){0};
}

static const enum match peer_kinds[] = {MATCH_LITERAL, MATCH_CONTAINER, MATCH_SELECTOR,
					MATCH_SERVICE, MATCH_NETWORK,	MATCH_ANY,
					MATCH_PREFIX};
static const enum match subject_kinds[] = {MATCH_CONTAINER, MATCH_SELECTOR, MATCH_PREFIX};
static const enum match service_kinds[] = {MATCH_SERVICE};

/* --- answers that are kept --- */

static uint32_t hash(const char *text, bool subject)
{
	uint32_t h = subject ? 0x811c9dc6 : 0x811c9dc5;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x01000193;
	return h;
}

static struct answer *slot_of(const struct resolver *r, const char *query, bool subject)
{
	uint32_t i = hash(query, subject) & (r->cap_answers - 1);

	while (r->answers[i].query &&
	       (r->answers[i].subject != subject || strcmp(r->answers[i].query, query) != 0))
		i = (i + 1) & (r->cap_answers - 1);
	return &r->answers[i];
}

static void grow(struct resolver *r)
{
	struct answer *old = r->answers;
	uint32_t cap = r->cap_answers;

	r->cap_answers = cap ? 2 * cap : 256;
	r->answers = arena_array(r->a, struct answer, r->cap_answers);
	for (uint32_t i = 0; i < cap; i++)
		if (old[i].query)
			*slot_of(r, old[i].query, old[i].subject) = old[i];
}

static struct answer *ask(struct resolver *r, const char *query, bool subject)
{
	struct answer *answer;

	if (2 * r->n_answers >= r->cap_answers)
		grow(r);
	answer = slot_of(r, query, subject);
	if (answer->query)
		return answer;
	r->n_answers++;
	answer->query = query;
	answer->subject = subject;
	answer->peers = subject ? find(r, query, subject_kinds, COUNT_OF(subject_kinds))
				: find(r, query, peer_kinds, COUNT_OF(peer_kinds));
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

static struct peers look_up(struct resolver *r, struct resolved *out, uint32_t i, const char *field,
			    const char *query)
{
	struct answer *answer = ask(r, query, false);

	if (!answer->peers.n)
		wait_for(r, out, i, field, query);
	note_prefix(r, answer, i, field);
	return answer->peers;
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

	if (!query)
		return;
	if (p->selector || p->container_name) {
		struct answer *answer = ask(r, query, true);

		out->subject = answer->peers;
		if (needed)
			note_prefix(r, answer, i, field);
	} else {
		out->subject = find(r, query, service_kinds, COUNT_OF(service_kinds));
	}
	if (!out->subject.n && needed)
		wait_for(r, out, i, field, query);
}

/* `name` is a container: one of the file if it is, else whatever the engine calls so. */
static void resolve_name(struct resolver *r, struct resolved *out, uint32_t i)
{
	const struct policy *p = &r->config->policies.items[i];
	struct answer *answer;
	const char *found;

	if (!p->name)
		return;
	answer = ask(r, p->name, true);
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
	out->container_in_file = true;
	note_prefix(r, answer, i, "name");
}

static void resolve_target(struct resolver *r, struct resolved *out, uint32_t i)
{
	const struct policy *p = &r->config->policies.items[i];
	const char *place = place_of_policy(r->a, i, "to");

	out->to = look_up(r, out, i, "to", p->to.items[0]);
	if (!out->to.n)
		return;
	if (out->to.n > 1)
		diag_at(r->diags, SEVERITY_ERROR, place,
			"\"%s\" is %u addresses; several targets come in a later version, name one",
			p->to.items[0], out->to.n);
	else if (!prefix_is_single(out->to.items[0].net))
		diag_at(r->diags, SEVERITY_ERROR, place, "\"%s\" is no single address",
			p->to.items[0]);
	else if (out->to.items[0].net.ip.family != 4)
		diag_at(r->diags, SEVERITY_ERROR, place, "IPv6 is not built yet");
}

static void resolve_policy(struct resolver *r, struct resolved *out, uint32_t i)
{
	const struct policy *p = &r->config->policies.items[i];
	bool placed = p->name || p->iface;

	if (p->from)
		out->from = look_up(r, out, i, "from", p->from);
	if (p->nat == NAT_DNAT)
		resolve_target(r, out, i);
	else if (p->nat == NAT_MASQUERADE && p->to.n)
		out->to = look_up(r, out, i, "to", p->to.items[0]);
	resolve_subject(r, out, i, p->nat == NAT_NO ? p->from != NULL : !placed && !p->from);
	resolve_name(r, out, i);
}

/* --- policies that say what another one says --- */

/* What a policy is about, without protocols and ports: equal texts are about the same. */
static const char *matter_of(struct resolver *r, const struct resolution *all, uint32_t i)
{
	const struct policy *p = &r->config->policies.items[i];
	const struct resolved *out = &all->policies[i];
	const struct peers *lists[] = {&out->from, &out->subject, &out->to};
	AUTO_BUF struct buf text = {0};

	/* rules on an interface or in a named container do not depend on the subject */
	buf_printf(&text, "%d %u %d %s|%s", (int)p->nat, p->to_port, (int)p->masquerade,
		   p->name ? p->name : "", p->iface ? p->iface : "");
	for (size_t k = 0; k < COUNT_OF(lists); k++) {
		if (k == 1 && p->nat != NAT_NO && (p->name || p->iface))
			continue;
		buf_puts(&text, "|");
		for (uint32_t n = 0; n < lists[k]->n; n++)
			buf_add(&text, prefix_format(lists[k]->items[n].net).s,
				strlen(prefix_format(lists[k]->items[n].net).s) + 1);
		for (size_t c = 0; c < text.len; c++)
			if (!text.data[c])
				text.data[c] = ' ';
	}
	return arena_strdup(r->a, buf_text(&text));
}

static bool covers_ports(const struct policy *wide, const struct policy *narrow)
{
	uint32_t w = 0;

	if (!wide->ports.n)
		return true;
	if (!narrow->ports.n)
		return false;
	list_each (range, &narrow->ports) {
		while (w < wide->ports.n && wide->ports.items[w].high < range->low)
			w++;
		if (w == wide->ports.n || wide->ports.items[w].low > range->low ||
		    wide->ports.items[w].high < range->high)
			return false;
	}
	return true;
}

static bool covers(const struct policy *wide, const struct policy *narrow)
{
	if (wide->protos & PROTO_ANY && !wide->ports.n)
		return true;
	return !(narrow->protos & ~wide->protos) && covers_ports(wide, narrow);
}

static void warn_of_cover(struct resolver *r, uint32_t first, uint32_t second)
{
	const struct policy *a = &r->config->policies.items[first];
	const struct policy *b = &r->config->policies.items[second];
	bool forth = covers(a, b), back = covers(b, a);

	if (forth && back)
		diag_at(r->diags, SEVERITY_WARNING, place_of_policy(r->a, second, NULL),
			"the same as policies[%u]", first);
	else if (forth || back)
		diag_at(r->diags, SEVERITY_WARNING,
			place_of_policy(r->a, forth ? second : first, NULL),
			"policies[%u] covers this already", forth ? first : second);
}

enum { MAX_COMPARED = 32 }; /* policies about the same thing that one is compared with */

static void warn_of_doubles(struct resolver *r, const struct resolution *all)
{
	entry_list matters = {0};

	for (uint32_t i = 0; i < all->n; i++)
		if (!all->policies[i].waiting &&
		    (all->policies[i].from.n || r->config->policies.items[i].nat != NAT_NO))
			add_entry(r, &matters, matter_of(r, all, i), i);
	sort_entries(&matters);
	for (uint32_t i = 0; i < matters.n; i++)
		for (uint32_t k = i + 1; k < matters.n && k <= i + MAX_COMPARED &&
					 !strcmp(matters.items[i].name, matters.items[k].name);
		     k++)
			warn_of_cover(r, matters.items[i].index, matters.items[k].index);
}

/* --- policies without effect --- */

static uint32_t network_of(const struct resolver *r, const struct peer *peer)
{
	return peer->address == NONE ? NONE : r->config->addresses.items[peer->address].network;
}

/* Containers of one network reach each other anyway. */
static void warn_of_neighbours(struct resolver *r, const struct resolved *out, uint32_t i)
{
	uint32_t network = out->from.n ? network_of(r, &out->from.items[0]) : NONE;

	if (network == NONE || !out->subject.n || r->config->policies.items[i].nat != NAT_NO)
		return;
	for (uint32_t k = 0; k < out->from.n; k++)
		if (network_of(r, &out->from.items[k]) != network)
			return;
	for (uint32_t k = 0; k < out->subject.n; k++)
		if (network_of(r, &out->subject.items[k]) != network)
			return;
	diag_at(r->diags, SEVERITY_WARNING, place_of_policy(r->a, i, NULL),
		"both ends are on %s, whose containers reach each other anyway; this policy "
		"changes nothing",
		r->config->networks.items[network].name);
}

void resolve(struct resolution *resolution, struct diags *diags, struct arena *a,
	     const struct config *config)
{
	struct resolver r = {.a = a, .diags = diags, .config = config};

	resolution->n = config->policies.n;
	resolution->policies = arena_array(a, struct resolved, config->policies.n);
	build_index(&r);
	for (uint32_t i = 0; i < config->policies.n; i++) {
		resolve_policy(&r, &resolution->policies[i], i);
		warn_of_neighbours(&r, &resolution->policies[i], i);
	}
	warn_of_doubles(&r, resolution);
}
