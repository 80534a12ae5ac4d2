/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules, put together term by term, and sets. */
#include "core/ruleset/builder.h"

#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <netinet/in.h>

/* Room to grow before a table has to be replaced: edits of a few elements never do. */
enum { SMALLEST_SET = 64 };

struct rule *add_rule(struct builder *b, struct chain *chain, uint8_t family, const char *comment,
		      uint32_t origin)
{
	struct rule *rule = list_add(b->a, &chain->rules);

	rule->family = family;
	rule->comment = comment;
	rule->origin = origin;
	return rule;
}

struct rule *new_rule(struct builder *b, struct chain *chain)
{
	return add_rule(b, chain, 0, NULL, NONE);
}

struct term *add_term(struct builder *b, struct rule *rule, enum term_kind kind)
{
	struct term *t = list_add(b->a, &rule->terms);

	t->kind = kind;
	return t;
}

void term_number(struct builder *b, struct rule *rule, enum term_kind kind, uint32_t number)
{
	add_term(b, rule, kind)->number = number;
}

void term_name(struct builder *b, struct rule *rule, enum term_kind kind, const char *name)
{
	add_term(b, rule, kind)->name = name;
}

void term_prefix(struct builder *b, struct rule *rule, enum term_kind kind, struct prefix prefix)
{
	if (prefix.ip.family && prefix.len)
		add_term(b, rule, kind)->prefix = prefix;
}

void term_ports(struct builder *b, struct rule *rule, enum term_kind kind, uint16_t low,
		uint16_t high)
{
	struct term *t;

	if (low == 0 && high == UINT16_MAX)
		return;
	t = add_term(b, rule, kind);
	t->low = low;
	t->high = high;
}

void term_icmp(struct builder *b, struct rule *rule, const struct icmp_types *types)
{
	struct term *t;

	term_number(b, rule, TERM_PROTO, types->family == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	t = add_term(b, rule, TERM_ICMP_TYPE);
	t->low = types->first;
	t->high = types->last;
}

/* Types of ICMP, or ports by this kind of term. */
void term_traffic(struct builder *b, struct rule *rule, enum term_kind ports, struct traffic match)
{
	if (!match.proto)
		return;
	term_number(b, rule, TERM_PROTO, match.proto);
	term_ports(b, rule, match_has_types(match) ? TERM_ICMP_TYPE : ports, match.low, match.high);
}

void term_match(struct builder *b, struct rule *rule, struct traffic match)
{
	term_traffic(b, rule, TERM_DPORT, match);
}

void term_count(struct builder *b, struct rule *rule)
{
	if (b->counted)
		add_term(b, rule, TERM_COUNTER);
}

void term_log(struct builder *b, struct rule *rule, uint32_t group, const char *prefix)
{
	struct term *t;

	term_number(b, rule, TERM_LIMIT, LOG_A_SECOND);
	t = add_term(b, rule, TERM_LOG);
	t->name = prefix;
	t->number = group;
}

void term_ct_mark(struct builder *b, struct rule *rule, uint32_t number, uint32_t mask)
{
	struct term *t = add_term(b, rule, TERM_CT_MARK);

	t->number = number;
	t->mask = mask;
}

void term_admitted(struct builder *b, struct rule *rule)
{
	term_ct_mark(b, rule, b->hooks->accept, b->hooks->accept);
}

void add_lookup(struct builder *b, struct rule *rule, enum term_kind kind, const char *name,
		const uint8_t *loads, size_t n)
{
	struct term *t = add_term(b, rule, kind);

	t->name = name;
	t->n_loads = (uint8_t)n;
	memcpy(t->loads, loads, n);
}

struct chain *add_chain(struct builder *b, const char *name)
{
	return add_base_chain(b, name, NULL, 0, 0);
}

struct chain *add_base_chain(struct builder *b, const char *name, const char *type, uint32_t hook,
			     int32_t priority)
{
	struct chain *chain = list_add(b->a, &b->rs->chains);

	*chain = (struct chain){.name = name, .type = type, .hook = hook, .priority = priority};
	return chain;
}

/* --- rules that several chains have --- */

void drop_revoked(struct builder *b, struct chain *chain)
{
	struct rule *rule = add_rule(b, chain, 0, "revoked", NONE);

	term_ct_mark(b, rule, b->hooks->revoked, UINT32_MAX);
	add_term(b, rule, TERM_DROP);
}

void accept_admitted(struct builder *b, struct chain *chain)
{
	struct rule *rule = new_rule(b, chain);

	term_number(b, rule, TERM_MARK_HAS, b->hooks->accept);
	add_term(b, rule, TERM_ACCEPT);
}

struct rule *add_borrowed(struct builder *b, struct chain *chain, uint8_t family,
			  enum borrowed borrowed)
{
	const bool by_bridge = borrowed == FROM_A_BRIDGE;
	const char *set = by_bridge ? "bridges" : name_of_family(b, "sources", family);
	struct rule *rule;

	if (!ruleset_find_set(b->rs, set))
		return NULL;
	rule = add_rule(b, chain, family, "a borrowed source address", NONE);
	term_in(b, rule, set, by_bridge ? LOAD_IIFNAME : LOAD_SADDR);
	add_term(b, rule, TERM_FIB_FOREIGN);
	return rule;
}

/*
 * A borrowed source address admits nothing: one of a network that the sender is not on, or, from a
 * container, one from beyond the host. The reverse route tells: it must leave by the interface that
 * the packet came in by.
 */
void end_borrowed(struct builder *b, struct chain *chain, enum term_kind verdict, const char *to)
{
	each_family_of (b, family)
		for (enum borrowed i = 0; i < N_BORROWED; i++) {
			struct rule *rule = add_borrowed(b, chain, family, i);

			if (rule)
				term_name(b, rule, verdict, to);
		}
}

static void log_share(struct builder *b, struct chain *chain, uint8_t family, uint16_t part,
		      const char *prefix)
{
	enum { SEED = 0x48575256 };
	struct rule *rule = add_rule(b, chain, family, NULL, NONE);
	struct term *t = add_term(b, rule, TERM_SHARE);

	if (b->rs->family == NFPROTO_BRIDGE)
		rule->protocol = family == 6 ? ETH_P_IPV6 : ETH_P_IP;
	t->low = part;
	t->high = AUDIT_SHARES;
	t->number = SEED;
	term_number(b, rule, TERM_LIMIT, LOG_A_SECOND / AUDIT_SHARES);
	t = add_term(b, rule, TERM_LOG);
	t->name = prefix;
	t->number = AUDIT_GROUP;
}

void log_in_shares(struct builder *b, struct chain *chain, const char *prefix)
{
	each_family_of (b, family)
		for (uint16_t part = 0; part < (uint16_t)AUDIT_SHARES; part++)
			log_share(b, chain, family, part, prefix);
}

/* --- sets --- */

const char *name_of_family(struct builder *b, const char *name, uint8_t family)
{
	return family == 6 ? arena_printf(b->a, "%s6", name) : name;
}

struct set *add_set(struct builder *b, const char *name, const enum field *key, size_t n_key)
{
	struct set *set = list_add(b->a, &b->rs->sets);

	set->name = name;
	memcpy(set->key, key, n_key * sizeof(*key));
	set->n_key = (uint8_t)n_key;
	return set;
}

void finish_set(struct builder *b, struct set *set)
{
	uint32_t room = SMALLEST_SET;

	set_finish(set, b->a);
	while (room < set->n + set->n / 4)
		room *= 2;
	set->size = room;
}

void stand_set(struct builder *b, const struct set *set)
{
	finish_set(b, memcpy(list_add(b->a, &b->rs->sets), set, sizeof(*set)));
}

void keep_set(struct builder *b, const struct set *set)
{
	if (set->n)
		stand_set(b, set);
}

void put_verdict(struct builder *b, struct set *map, uint8_t *at, struct verdict verdict)
{
	set_note_verdict(map, b->a, verdict);
	memcpy(at, &verdict.id, sizeof(verdict.id));
}
