/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/tally.h"

#include "core/iptables/iptables.h"
#include "core/nft/nft.h"
#include "core/nft/nlattr.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct tally *t, uint32_t origin, uint64_t packets)
{
	if (origin < t->config->policies.n)
		t->packets[origin] += packets;
}

/*
 * Traffic of a translation was counted in the namespace that translates, so not again on the host.
 */
static bool counts_as_allowed(const struct tally *t, uint32_t origin)
{
	return origin < t->config->policies.n && t->config->policies.items[origin].nat == NAT_NO;
}

/* --- nf_tables --- */

static uint64_t packets_of(struct attrs expr)
{
	if (strcmp(attr_text(attr_find(expr, NFTA_EXPR_NAME)), "counter") != 0)
		return 0;
	return attr_be64(attr_find(attr_find(expr, NFTA_EXPR_DATA), NFTA_COUNTER_PACKETS));
}

/* Shorter values are those of a single field, which is padded here. */
static bool take_key(uint8_t *at, uint32_t room, struct attrs key)
{
	struct attrs value = attr_find(key, NFTA_DATA_VALUE);

	if (!value.len || value.len > room)
		return false;
	memcpy(at, value.bytes, value.len);
	return true;
}

/* NONE: not one of the wanted elements. */
static uint32_t origin_of_element(const struct set *set, struct attrs element)
{
	uint8_t key[2 * MAX_KEY] = {0};
	uint32_t len = set_key_len(set), all = set->interval ? 2 * len : len;
	uint32_t at;

	if (!take_key(key, len, attr_find(element, NFTA_SET_ELEM_KEY)) ||
	    (set->interval && !take_key(key + len, len, attr_find(element, NFTA_SET_ELEM_KEY_END))))
		return NONE;
	at = first_not_before(set->n, i, memcmp(set_element(set, i), key, all) < 0);
	return at < set->n && !memcmp(set_element(set, at), key, all) ? set->origins[at] : NONE;
}

static void take_elements(struct tally *t, const struct ruleset *want, struct attrs attrs)
{
	const char *name = attr_text(attr_find(attrs, NFTA_SET_ELEM_LIST_SET));
	const struct set *set = ruleset_find_set(want, name);
	struct attrs rest = attr_find(attrs, NFTA_SET_ELEM_LIST_ELEMENTS), element;
	uint16_t type;

	if (!set || !set->counts)
		return;
	while (attr_next(&rest, &type, &element)) {
		uint64_t packets = packets_of(attr_find(element, NFTA_SET_ELEM_EXPR));
		uint32_t origin = packets ? origin_of_element(set, element) : NONE;

		if (set->role == SET_OTHER || counts_as_allowed(t, origin))
			add(t, origin, packets);
	}
}

static uint64_t packets_of_rule(struct attrs exprs)
{
	struct attrs expr;
	uint64_t packets = 0;
	uint16_t type;

	while (attr_next(&exprs, &type, &expr))
		packets += packets_of(expr);
	return packets;
}

/* Skips rules that others inserted between ours, or that are to be removed. */
static void take_rule(struct tally *t, const struct ruleset *want, struct attrs attrs)
{
	const struct chain *chain =
		ruleset_find_chain(want, attr_text(attr_find(attrs, NFTA_RULE_CHAIN)));
	struct attrs exprs = attr_find(attrs, NFTA_RULE_EXPRESSIONS);
	struct rule have = {.exprs = exprs.bytes, .exprs_len = (uint32_t)exprs.len};
	uint64_t packets = packets_of_rule(exprs);

	if (chain != t->chain)
		t->next = 0;
	t->chain = chain;
	for (uint32_t i = t->next; chain && i < chain->rules.n; i++) {
		const struct rule *rule = &chain->rules.items[i];

		have.comment = rule->comment;
		if (!nft_same_rule(rule, &have))
			continue;
		t->next = i + 1;
		add(t, rule->origin, packets);
		return;
	}
}

void tally_message(struct tally *t, const struct ruleset *want, const void *nlmsg)
{
	const struct nlmsghdr *message = nlmsg;

	if (message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM))
		take_elements(t, want, nlmsg_attrs(message));
	else if (message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE))
		take_rule(t, want, nlmsg_attrs(message));
}

/* --- iptables --- */

/* Rules that let a connection through: they admit, translate or masquerade it. */
static bool counts_here(const struct tally *t, const struct ipt_chain *chain,
			const struct ipt_rule *rule)
{
	if (!strcmp(chain->name, IPT_PREFIX "-FRESH"))
		return strstr(rule->text, "--ctstate DNAT") || counts_as_allowed(t, rule->origin);
	if (!strcmp(chain->name, IPT_PREFIX "-PRE"))
		return !t->host && strstr(rule->text, "-j DNAT");
	return !strcmp(chain->name, IPT_PREFIX "-POST") && rule->origin < t->config->policies.n &&
	       t->config->policies.items[rule->origin].nat == NAT_MASQUERADE;
}

/* "[12:720] -A HARBORWALL-FRESH …": packets, chain. False: another kind of line. */
static bool read_rule(const char *line, unsigned long long *packets, const char **chain)
{
	const char *end;

	if (*line != '[')
		return false;
	*packets = strtoull(line + 1, NULL, 10);
	end = strstr(line, "] -A ");
	*chain = end ? end + strlen("] -A ") : NULL;
	return end != NULL;
}

static const struct ipt_chain *find_chain(const ipt_chains *want, enum variant variant,
					  uint8_t family, const char *table, const char *name)
{
	size_t len = strcspn(name, " ");

	list_each (chain, want)
		if (chain->variant == variant && chain->family == family &&
		    !strcmp(chain->table, table) && strlen(chain->name) == len &&
		    !strncmp(chain->name, name, len))
			return chain;
	return NULL;
}

/* The policy number in its comment may be outdated, so rules are matched by their hash. */
static void take_line(struct tally *t, const struct ipt_chain *chain, uint32_t *next,
		      const char *line, uint64_t packets)
{
	uint32_t hash = ipt_hash_of_line(line);

	for (uint32_t i = *next; i < chain->rules.n; i++) {
		const struct ipt_rule *rule = &chain->rules.items[i];

		if (rule->hash != hash)
			continue;
		*next = i + 1;
		if (counts_here(t, chain, rule))
			add(t, rule->origin, packets);
		return;
	}
}

void tally_save(struct tally *t, const ipt_chains *want, enum variant variant, uint8_t family,
		const char *save)
{
	const struct ipt_chain *last = NULL;
	char table[32] = "";
	uint32_t next = 0;

	for (; *save; save += strcspn(save, "\n"), save += *save == '\n') {
		const struct ipt_chain *chain;
		unsigned long long packets;
		const char *name;

		if (*save == '*')
			snprintf(table, sizeof(table), "%.*s", (int)strcspn(save + 1, "\n"),
				 save + 1);
		if (!read_rule(save, &packets, &name))
			continue;
		chain = find_chain(want, variant, family, table, name);
		next = chain == last ? next : 0;
		last = chain;
		if (chain)
			take_line(t, chain, &next, name, packets);
	}
}
