/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exact names are numbers, and who bears them is a table; prefixes are the run of sorted names that
 * begin with the query. Answers are kept by the name's number, since policies name the same few
 * things.
 */
#include "core/resolve/resolve.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name, and the address or network that bears it. */
struct entry {
	const char *name;
	uint32_t index;
};

typedef LIST(struct entry) entry_list;

/* The fields of an address that bear a name. */
enum kind { KIND_CONTAINER, KIND_SELECTOR, KIND_SERVICE, N_KINDS };

static const size_t bearers[] = {
	[KIND_CONTAINER] = offsetof(struct address, container_name),
	[KIND_SELECTOR] = offsetof(struct address, selector),
	[KIND_SERVICE] = offsetof(struct address, service_name),
};

/* Addresses as numbers that begin with 1; 0: there is none, or none more. */
struct index {
	uint32_t *first[N_KINDS]; /* by name: the first that bears it */
	uint32_t *next[N_KINDS];  /* by address: the next of that name */
	entry_list networks;	  /* by their names, sorted */
	entry_list prefixes;	  /* container names and selectors, sorted */
	bool has_prefixes;	  /* somebody asked for them */
};

struct resolver {
	struct arena *a, *scratch;
	struct diags *diags;
	const struct config *config;
	struct config_text *text;
	struct index index;
	uint32_t *seen, stamp; /* addresses that the answer being made has already: == stamp */
	struct resolution *answers;
	bool *noted[N_QUESTIONS]; /* of each name: that it is a prefix match */
};

static const struct peers nobody = {.network = NONE};

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

static void index_all(struct resolver *r)
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
	list_each (peer, found)
		peers->items[peer - found->items] = *peer;
	return peers;
}

static struct peers *find(struct resolver *r, uint32_t name, const char *query,
			  enum question question);

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
			find(r, member->name, config_name(r->config, member->name), question);

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
static struct peers *find(struct resolver *r, uint32_t name, const char *query,
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

/* --- answers that are kept --- */

static const struct peers *ask(struct resolver *r, uint32_t name, enum question question)
{
	const struct peers **known = &r->answers->peers[question][name];

	if (!*known)
		*known = find(r, name, config_name(r->config, name), question);
	return *known;
}

/* A prefix match is a guess: say once what it found. A container's addresses are side by side. */
static void note_prefix(struct resolver *r, uint32_t name, enum question question, uint32_t node)
{
	enum { SHOWN = 8 };
	const struct peers *peers = r->answers->peers[question][name];
	const char *found = "";
	uint32_t n = 0, last = 0;

	if (r->noted[question][name])
		return;
	r->noted[question][name] = true;
	for (uint32_t p = 0; p < peers->n && n <= SHOWN; p++) {
		const struct address *at = &r->config->addresses.items[peers->items[p].address];
		uint32_t container = address_container(at);

		if (container != last && n++ < SHOWN)
			found = arena_printf(r->a, "%s%s%s", found, n > 1 ? ", " : "",
					     config_name(r->config, container));
		last = container;
	}
	diag_at(r->diags, SEVERITY_NOTE, r->text, node, "\"%s\" is the beginning of %s%s",
		config_name(r->config, name), found, n > SHOWN ? " and others" : "");
}

/* --- policies --- */

/* Names of containers have neither "/" nor ":", and are seldom of digits and dots alone. */
static bool looks_like_address(const char *text)
{
	return strpbrk(text, "./:") &&
	       strspn(text, "0123456789abcdefABCDEF./:[]") == strlen(text) &&
	       (strchr(text, ':') || strspn(text, "0123456789./") == strlen(text));
}

/* What is wrong with a text that can only be meant as an address; NULL if it may be a name. */
static const char *why_no_address(struct resolver *r, const char *text)
{
	struct prefix prefix;

	if (!prefix_parse_any(&prefix, text))
		return looks_like_address(text)
			       ? arena_printf(r->a, "\"%s\" is not an address; write it as %s",
					      text,
					      strchr(text, ':') ? "fd00:103::2 or fd00:103::/64"
								: "172.18.103.2 or 172.18.103.0/24")
			       : NULL;
	return prefix_is_usable(prefix) ? NULL : prefix_why_unusable(r->a, prefix, text);
}

/* A name of the DNS: "api.example.com". */
static bool looks_like_domain(const char *text)
{
	const char *last = strrchr(text, '.');

	return last && last != text && strlen(last) > 2 &&
	       strspn(last + 1, "abcdefghijklmnopqrstuvwxyz") == strlen(last + 1) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(text);
}

static void say_nobody(struct resolver *r, uint32_t node, enum question question, const char *text,
		       const char *then)
{
	const char *wrong = why_no_address(r, text);

	if (wrong)
		diag_at(r->diags, SEVERITY_ERROR, r->text, node, "%s", wrong);
	else if (question == ASK_TARGETS && looks_like_domain(text))
		diag_at(r->diags, SEVERITY_ERROR, r->text, node,
			"\"%s\": names of the outside world are not looked up; write its addresses "
			"or prefixes, maybe as a list in a file (\"@FILE\")",
			text);
	else if (!strcmp(text, "host"))
		diag_at(r->diags, SEVERITY_WARNING, r->text, node,
			"the name \"host\" comes in a later version; %s", then);
	else
		diag_at(r->diags, SEVERITY_WARNING, r->text, node,
			"nothing in this file is named \"%s\"; %s", text, then);
}

static void look_up_at(struct resolver *r, uint32_t node, uint32_t name, enum question question,
		       const char *then)
{
	const struct peers *peers = ask(r, name, question);

	if (!peers->n)
		say_nobody(r, node, question, config_name(r->config, name), then);
	if (peers->match == MATCH_PREFIX)
		note_prefix(r, name, question, node);
}

/* Of its names, each where it stands; once for all policies that name the list. */
static void look_up_members(struct resolver *r, uint32_t name, const struct member_list *list,
			    enum question question)
{
	const struct peers *peers = ask(r, name, question);

	if (r->noted[question][name])
		return;
	r->noted[question][name] = true;
	list_each (member, &list->names)
		look_up_at(r, member->node, member->name, question,
			   peers->n ? "the rest of the list counts" : "the policy waits");
}

static void look_up(struct resolver *r, uint32_t i, const char *field, uint32_t name,
		    enum question question)
{
	const struct member_list *list = config_list(r->config, name);
	const struct peers *peers = ask(r, name, question);

	if (list)
		look_up_members(r, name, list, question);
	else if (!peers->n || peers->match == MATCH_PREFIX) /* only these need a place */
		look_up_at(r, node_of_policy(r->text, i, field), name, question,
			   "the policy waits");
}

static bool has_target(const struct policy *p)
{
	return p->nat == NAT_DNAT || p->to;
}

/* As what its `to` is looked up. */
static enum question question_of_target(const struct policy *p)
{
	return p->nat == NAT_NO ? ASK_TARGETS : ASK_PEERS;
}

static const char *container_of(const struct resolver *r, const struct peers *peers)
{
	const struct address *addresses = r->config->addresses.items;
	uint32_t found = address_container(&addresses[peers->items[0].address]);

	for (uint32_t k = 1; k < peers->n; k++)
		if (found != address_container(&addresses[peers->items[k].address]))
			return NULL; /* several containers: the engine's word decides */
	return config_name(r->config, found);
}

/* `name` is a container: one of the file if possible, otherwise one of the engine. */
static void resolve_name(struct resolver *r, uint32_t name, uint32_t i)
{
	const struct peers *peers = ask(r, name, ASK_CONTAINER);
	const char *found = peers->n ? container_of(r, peers) : NULL;

	r->answers->containers[name] = found ? found : config_name(r->config, name);
	if (found && peers->match == MATCH_PREFIX)
		note_prefix(r, name, ASK_CONTAINER, node_of_policy(r->text, i, "name"));
}

/* Each family has a target of its own. */
static bool has_several(const struct peers *to)
{
	uint32_t n[N_FAMILIES] = {0};

	for (uint32_t i = 0; i < to->n; i++)
		n[ip_family(to->items[i].net.ip)]++;
	return n[FAMILY_4] > 1 || n[FAMILY_6] > 1;
}

static void resolve_target(struct resolver *r, const struct policy *p, uint32_t i)
{
	const char *name = config_name(r->config, p->to), *wrong;
	const struct peers *to;

	look_up(r, i, "to", p->to, question_of_target(p));
	to = r->answers->peers[question_of_target(p)][p->to];
	if (!to->n || p->nat != NAT_DNAT)
		return;
	if (has_several(to))
		wrong = arena_printf(r->a,
				     "\"%s\" is %u addresses; several targets come in a later "
				     "version, name one",
				     name, to->n);
	else if (!prefix_is_single(to->items[0].net))
		wrong = arena_printf(r->a, "\"%s\" is not a single address", name);
	else
		return;
	diag_at(r->diags, SEVERITY_ERROR, r->text, node_of_policy(r->text, i, "to"), "%s", wrong);
}

static void resolve_policy(struct resolver *r, const struct policy *p, uint32_t i)
{
	if (p->from)
		look_up(r, i, "from", p->from, ASK_PEERS);
	if (has_target(p))
		resolve_target(r, p, i);
	if (p->subject)
		look_up(r, i, subject_fields[p->kind], p->subject, ASK_SUBJECT);
	if (p->name)
		resolve_name(r, p->name, i);
}

static void wait_for(struct resolved *out, const struct config *config, const char *field,
		     uint32_t name)
{
	if (out->waiting)
		return;
	out->waiting = field;
	out->missing = config_name(config, name);
}

struct resolved resolved_policy(const struct resolution *resolution, const struct config *config,
				const struct policy *p)
{
	const struct peers **by_name = resolution->peers[ASK_PEERS];
	struct resolved out = {.subject = &nobody, .from = &nobody, .to = &nobody};

	if (p->from)
		out.from = by_name[p->from];
	if (has_target(p))
		out.to = resolution->peers[question_of_target(p)][p->to];
	if (p->subject)
		out.subject = resolution->peers[ASK_SUBJECT][p->subject];
	if (p->name)
		out.container = resolution->containers[p->name];
	out.source = p->nat == NAT_NO && p->to ? out.subject : out.from;
	out.target = has_target(p) ? out.to : out.subject;
	if (p->from && !out.from->n)
		wait_for(&out, config, "from", p->from);
	if (has_target(p) && !out.to->n)
		wait_for(&out, config, "to", p->to);
	if (p->subject && !out.subject->n)
		wait_for(&out, config, subject_fields[p->kind], p->subject);
	return out;
}

void resolve(struct resolution *resolution, struct diags *diags, struct arena *a,
	     const struct config *config, struct config_text *text)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct resolver r = {.a = a,
			     .scratch = &scratch,
			     .diags = diags,
			     .config = config,
			     .text = text,
			     .answers = resolution};

	index_all(&r);
	for (int question = 0; question < N_QUESTIONS; question++) {
		r.noted[question] = arena_array(&scratch, bool, config->names.n);
		resolution->peers[question] = arena_array(a, const struct peers *, config->names.n);
	}
	resolution->containers = arena_array(a, const char *, config->names.n);
	for (uint32_t i = 0; i < config->policies.n; i++)
		if (!config->policies.items[i].broken)
			resolve_policy(&r, &config->policies.items[i], i);
	resolve_check(resolution, diags, a, config, text);
}

const struct peers *resolve_peers(struct arena *a, const struct config *config, const char *text)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct resolver r = {.a = a, .scratch = &scratch, .config = config};
	uint32_t name = 0;

	list_each (known, &config->names)
		if (*known && !strcmp(*known, text))
			name = (uint32_t)(known - config->names.items);
	index_all(&r);
	return find(&r, name, text, ASK_PEERS);
}

bool same_peers(const struct peers *a, const struct peers *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->hash != b->hash || a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (prefix_compare(a->items[i].net, b->items[i].net) != 0)
			return false;
	return true;
}

bool peers_have_host(const struct peers *peers)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (!peers->items[i].net.ip.family)
			return true;
	return false;
}

bool peers_hold(const struct peers *peers, struct ip ip)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (prefix_contains(peers->items[i].net, ip))
			return true;
	return false;
}
