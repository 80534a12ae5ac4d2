/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/foreign/walls.h"

#include "core/foreign/foreign.h"
#include "core/nft/nlattr.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_bridge.h>
#include <string.h>

/* --- nf_tables --- */

void walls_take_chain(listed_chains *chains, struct arena *a, const void *nlmsg)
{
	const struct nlmsghdr *message = nlmsg;
	const struct nfgenmsg *head = NLMSG_DATA(message);
	struct attrs attrs = nlmsg_attrs(message), hook = attr_find(attrs, NFTA_CHAIN_HOOK);

	if (!attrs.bytes || (message->nlmsg_type & 0xff) != NFT_MSG_NEWCHAIN)
		return;
	*list_add(a, chains) = (struct listed_chain){
		.family = head->nfgen_family,
		.table = arena_strdup(a, attr_text(attr_find(attrs, NFTA_CHAIN_TABLE))),
		.name = arena_strdup(a, attr_text(attr_find(attrs, NFTA_CHAIN_NAME))),
		.base = hook.bytes != NULL,
		.drops = hook.bytes && attr_be32(attr_find(attrs, NFTA_CHAIN_POLICY)) == NF_DROP,
		.hook = attr_be32(attr_find(hook, NFTA_HOOK_HOOKNUM)),
		.priority = (int32_t)attr_be32(attr_find(hook, NFTA_HOOK_PRIORITY)),
		.use = attr_be32(attr_find(attrs, NFTA_CHAIN_USE))};
}

static bool starts(const char *text, const char *head)
{
	return !strncmp(text, head, strlen(head));
}

/*
 * Of bridges only a policy that drops what goes between a bridge and the host is of interest: what
 * is forwarded within a bridge never leaves its network.
 */
static bool is_on_the_way(const struct listed_chain *c)
{
	switch (c->family) {
	case NFPROTO_INET:
	case NFPROTO_IPV4:
	case NFPROTO_IPV6:
		return c->hook == NF_INET_FORWARD ||
		       (c->drops &&
			(c->hook == NF_INET_PRE_ROUTING || c->hook == NF_INET_POST_ROUTING));
	case NFPROTO_BRIDGE:
		return c->drops && c->hook != NF_BR_FORWARD;
	default:
		return false;
	}
}

bool walls_pass(const struct listed_chain *c)
{
	return c->base && (c->drops || c->use) && is_on_the_way(c) &&
	       !starts(c->table, TABLE_NAME) && !starts(c->table, "docker-") &&
	       strcmp(c->table, "firewalld") != 0;
}

bool walls_table_is_small(const listed_chains *chains, const struct listed_chain *chain)
{
	uint64_t n_rules = 0, n_chains = 0;

	list_each (c, chains)
		if (c->family == chain->family && !strcmp(c->table, chain->table)) {
			n_rules += c->use;
			n_chains++;
		}
	return n_rules <= MAX_RULES && n_chains <= MAX_CHAINS;
}

/* The tables of iptables-nft and ip6tables-nft bear the names of iptables'. */
static enum variant variant_of(const struct listed_chain *c)
{
	static const char *const names[] = {"filter", "nat", "mangle", "raw", "security"};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if ((c->family == NFPROTO_IPV4 || c->family == NFPROTO_IPV6) &&
		    !strcmp(c->table, names[i]))
			return VARIANT_NFT;
	return VARIANT_NONE;
}

static void take_rules(struct wall *wall)
{
	const struct plain_chain *chain = plain_find_chain(&wall->chains, wall->chain);

	if (chain)
		wall->rules = chain->rules;
}

struct wall wall_of_chain(const struct listed_chain *c, struct arena *a,
			  const struct ruleset *table)
{
	struct wall wall = {.variant = variant_of(c),
			    .family = c->family,
			    .table = c->table,
			    .chain = c->name,
			    .hook = c->hook,
			    .priority = c->priority,
			    .drops = c->drops,
			    .unread = !table};

	if (table)
		plain_of_table(&wall.chains, a, table);
	take_rules(&wall);
	return wall;
}

/* --- the chains that hold ours --- */

static bool is_jump_to_user(const struct plain *p)
{
	return !strcmp(p->target, "DOCKER-USER");
}

static bool is_return(const struct plain *p)
{
	return !strcmp(p->target, "RETURN") && plain_matches_everything(p);
}

static bool is_raw_drop(const struct plain *p)
{
	return !strcmp(p->target, "DROP") && p->nots & NOT_IN;
}

static void cut(plain_list *rules, bool (*ends)(const struct plain *p))
{
	for (uint32_t i = 0; i < rules->n; i++)
		if (ends(&rules->items[i])) {
			rules->n = i;
			return;
		}
}

void walls_before_ours(wall_list *walls, enum variant variant, uint8_t family,
		       const plain_chains *filter, const plain_chains *raw, struct arena *a)
{
	static const struct {
		const char *table, *chain;
		uint32_t hook;
		bool from_outside;
		bool (*ends)(const struct plain *p);
	} places[] = {
		{"raw", "PREROUTING", NF_INET_PRE_ROUTING, false, is_raw_drop},
		{"filter", "FORWARD", NF_INET_FORWARD, false, is_jump_to_user},
		{"filter", "DOCKER-USER", NF_INET_FORWARD, true, is_return},
	};

	for (size_t i = 0; i < COUNT_OF(places); i++) {
		const plain_chains *chains = !strcmp(places[i].table, "raw") ? raw : filter;
		const struct plain_chain *chain = plain_find_chain(chains, places[i].chain);
		struct wall wall = {.variant = variant,
				    .family = nfproto(family),
				    .table = places[i].table,
				    .chain = places[i].chain,
				    .hook = places[i].hook,
				    .before_ours = true,
				    .from_outside = places[i].from_outside,
				    .chains = *chains};

		if (!chain)
			continue;
		wall.rules = chain->rules;
		cut(&wall.rules, places[i].ends);
		if (wall.rules.n)
			*list_add(a, walls) = wall;
	}
}

static bool is_named(const name_list *names, const char *name)
{
	list_each (n, names)
		if (!strcmp(*n, name))
			return true;
	return false;
}

/* Docker's own and ours are understood elsewhere, and so are firewalld's. */
static bool is_foreign_chain(const char *name)
{
	return *name && !starts(name, "DOCKER") && !starts(name, IPT_PREFIX) &&
	       !starts(name, "FORWARD_");
}

bool walls_lead_on(name_list *names, struct arena *a, const struct ruleset *filter)
{
	enum { MOST = 64 };
	uint32_t known = names->n;

	for (uint32_t i = 0; i < known; i++) {
		const struct chain *chain = ruleset_find_chain(filter, names->items[i]);

		if (!chain ||
		    (starts(chain->name, "DOCKER") && strcmp(chain->name, "DOCKER-USER") != 0))
			continue;
		list_each (rule, &chain->rules) {
			const char *target = foreign_look_at(rule).target;

			if (!strcmp(target, "DOCKER-USER"))
				break;
			if (is_foreign_chain(target) && !is_named(names, target) && names->n < MOST)
				*list_add(a, names) = arena_strdup(a, target);
		}
	}
	return names->n > known;
}

void walls_of_save(wall_list *walls, enum variant variant, uint8_t family, struct arena *a,
		   const char *filter, const char *raw)
{
	struct wall whole = {.variant = variant,
			     .family = nfproto(family),
			     .table = "filter",
			     .chain = "FORWARD",
			     .hook = NF_INET_FORWARD};
	plain_chains raw_chains = {0};
	const struct plain_chain *forward;

	plain_parse_table(&whole.chains, a, filter, "filter");
	plain_parse_table(&raw_chains, a, raw, "raw");
	walls_before_ours(walls, variant, family, &whole.chains, &raw_chains, a);
	forward = plain_find_chain(&whole.chains, whole.chain);
	whole.drops = forward && forward->drops;
	take_rules(&whole);
	if (whole.drops || whole.rules.n)
		*list_add(a, walls) = whole;
}

/* --- a packet --- */

enum { MAX_DEPTH = 16, MAX_LOOKS = MAX_RULES };

struct walk {
	const struct wall *wall;
	const struct packet *packet;
	uint32_t looks;	     /* at rules, so far */
	bool some_accepted;  /* or not known */
	struct passage some; /* that may be stopped, by the first such rule */
};

enum walked { GOES_ON, ACCEPTED, STOPPED, RETURNED };

static enum walked walk_over(struct walk *w, const char *name, const plain_list *rules,
			     unsigned depth, struct passage *stopped);

static void note(struct passage *passage, enum passing passing, const struct plain *by,
		 const char *chain)
{
	*passage = (struct passage){.passing = passing, .by = by, .chain = chain};
}

/* A rule that matches not all, or not for certain, or none could say. */
static void doubt(struct walk *w, const struct plain *p, const char *chain, bool accepts,
		  bool stops, enum matched matched)
{
	w->some_accepted |= accepts;
	if (stops && matched == MATCHES_MOST && w->some.passing == PASSES)
		note(&w->some, MAY_BE_STOPPED, p, chain);
}

/* What a chain does to a part of the packets; from a goto none of them comes back. */
static void walk_in_doubt(struct walk *w, const struct plain *p, const struct plain_chain *chain,
			  unsigned depth, enum matched matched)
{
	struct passage stopped = {0};
	enum walked v = walk_over(w, chain->name, &chain->rules, depth + 1, &stopped);

	w->some_accepted |= v == ACCEPTED || (v != STOPPED && p->goes);
	if (v == STOPPED && matched == MATCHES_MOST && w->some.passing == PASSES)
		note(&w->some, MAY_BE_STOPPED, stopped.by, stopped.chain);
}

/* Ours at the end of DOCKER-USER is not reached by what leaves that chain before it. */
static enum walked leave(const struct walk *w, const struct plain *p, const char *chain,
			 unsigned depth, struct passage *stopped)
{
	if (depth || !w->wall->from_outside)
		return RETURNED;
	note(stopped, IS_STOPPED, p, chain);
	return STOPPED;
}

static enum walked walk_into(struct walk *w, const struct plain *p, const struct plain_chain *chain,
			     unsigned depth, enum matched matched, struct passage *stopped)
{
	enum walked v;

	if (matched != MATCHES_ALL) {
		walk_in_doubt(w, p, chain, depth, matched);
		return GOES_ON;
	}
	v = walk_over(w, chain->name, &chain->rules, depth + 1, stopped);
	if (v == ACCEPTED || v == STOPPED)
		return v;
	return p->goes ? leave(w, p, w->wall->chain, depth, stopped) : GOES_ON;
}

/* What one rule does to all of the packets that are left. */
static enum walked take(struct walk *w, const char *name, const struct plain *p, unsigned depth,
			struct passage *stopped)
{
	enum matched matched = plain_matches(p, w->packet);
	bool all = matched == MATCHES_ALL;
	bool stops = !strcmp(p->target, "DROP") || !strcmp(p->target, "REJECT");
	bool accepts = !strcmp(p->target, "ACCEPT"), returns = !strcmp(p->target, "RETURN");
	const struct plain_chain *chain;

	if (matched == MATCHES_NONE || !*p->target || p->ours || starts(p->target, IPT_PREFIX))
		return GOES_ON;
	if (all && stops) {
		note(stopped, IS_STOPPED, p, name);
		return STOPPED;
	}
	if (all && returns)
		return leave(w, p, name, depth, stopped);
	if (all && accepts)
		return ACCEPTED;
	stops |= returns && !depth && w->wall->from_outside;
	if (stops || accepts || returns || !strcmp(p->target, ANYTHING)) {
		doubt(w, p, name, !stops, stops, matched);
		return GOES_ON;
	}
	chain = plain_find_chain(&w->wall->chains, p->target);
	return chain ? walk_into(w, p, chain, depth, matched, stopped) : GOES_ON;
}

static enum walked walk_over(struct walk *w, const char *name, const plain_list *rules,
			     unsigned depth, struct passage *stopped)
{
	if (depth == MAX_DEPTH)
		w->some_accepted = true;
	list_each (p, rules) {
		enum walked v;

		if (depth == MAX_DEPTH || w->looks++ >= MAX_LOOKS)
			break;
		v = take(w, name, p, depth, stopped);
		if (v != GOES_ON)
			return v;
	}
	return GOES_ON;
}

struct passage wall_lets_pass(const struct wall *wall, const struct packet *packet)
{
	struct walk w = {.wall = wall, .packet = packet};
	struct passage stopped = {0};
	enum walked v = walk_over(&w, wall->chain, &wall->rules, 0, &stopped);

	if (v != ACCEPTED && v != STOPPED && wall->drops)
		note(&stopped, IS_STOPPED, NULL, wall->chain);
	if (stopped.passing != IS_STOPPED)
		stopped = w.some;
	else if (w.some_accepted || wall->unread || w.looks >= MAX_LOOKS)
		stopped.passing = MAY_BE_STOPPED;
	stopped.looks = w.looks;
	return stopped;
}
