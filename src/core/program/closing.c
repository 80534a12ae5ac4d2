/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The closing rules, for networks that no rule of Docker's closes. */
#include "core/program/parts.h"
#include "core/strict/strict.h"

/* Where Docker's drops do not stand: what is not admitted stays out, as Docker would keep it. */
struct closing {
	const struct closed *items;
	uint32_t n;
	uint8_t family;				/* to which; 0: to both */
	const char *closed, *inside, *internal; /* names of sets; internal NULL: none is */
};

static struct closing closing_of(struct builder *b, const struct closed *items, uint32_t n,
				 uint8_t family)
{
	struct closing c = {items, n, family, NULL, NULL, NULL};
	struct set *set;

	if (!n)
		return c;
	c.closed = name_of_family(b, "closed", family);
	set = new_set(b, c.closed, FIELD_IFNAME);
	for (uint32_t i = 0; i < n; i++)
		put_iface(set_add(set, b->a, NONE), items[i].bridge);
	finish_set(b, set);
	c.inside = name_of_family(b, "inside", family);
	set = new_set(b, c.inside, FIELD_IFNAME, FIELD_IFNAME);
	for (uint32_t i = 0; i < n; i++)
		if (!items[i].apart)
			put_iface(put_iface(set_add(set, b->a, NONE), items[i].bridge),
				  items[i].bridge);
	finish_set(b, set);
	set = NULL;
	for (uint32_t i = 0; i < n; i++)
		if (items[i].internal) {
			c.internal = name_of_family(b, "internal", family);
			set = set ? set : new_set(b, c.internal, FIELD_IFNAME);
			put_iface(set_add(set, b->a, NONE), items[i].bridge);
		}
	if (set)
		finish_set(b, set);
	return c;
}

/* A source that is borrowed is not let in by a translation either. */
static void close_to_borrowed(struct builder *b, struct chain *chain, const struct closing *c,
			      uint8_t family)
{
	const struct {
		const char *set;
		enum load load;
	} borrowed[] = {{name_of_family(b, "sources", family), LOAD_SADDR},
			{"bridges", LOAD_IIFNAME}};

	for (size_t i = 0; i < COUNT_OF(borrowed); i++) {
		struct rule *rule;

		if (!c->n || !ruleset_find_set(b->rs, borrowed[i].set))
			continue;
		rule = add_borrowed(b, chain, family, borrowed[i].set, (uint8_t)borrowed[i].load);
		term_in(b, rule, c->closed, LOAD_OIFNAME);
		term_not_in(b, rule, c->inside, LOAD_IIFNAME, LOAD_OIFNAME);
		add_term(b, rule, TERM_DROP);
	}
}

static void close_one_way(struct builder *b, struct chain *chain, const struct closing *c,
			  const char *set, uint8_t load)
{
	struct rule *rule;

	if (!c->n || !set)
		return;
	rule = add_rule(b, chain, c->family, "nobody else closes this network", NONE);
	term_in(b, rule, set, load);
	term_not_in(b, rule, c->inside, LOAD_IIFNAME, LOAD_OIFNAME);
	add_term(b, rule, TERM_DROP);
}

/*
 * Without these no address of IPv6 is found. What a bridge carries of them comes by the forward
 * hook where br_netfilter is on.
 */
void accept_neighbours(struct builder *b, struct chain *chain)
{
	static const struct icmp_types neighbours = {6, 133, 137}; /* RFC 4861 */
	struct rule *rule = add_rule(b, chain, 6, "neighbour discovery", NONE);

	term_icmp(b, rule, &neighbours);
	add_term(b, rule, TERM_ACCEPT);
}

/* Without errors no path is measured. */
static void accept_icmp6(struct builder *b, struct chain *chain)
{
	struct rule *rule;

	for (size_t i = 0; i < n_icmp_errors; i++) {
		if (icmp_errors[i].family != 6)
			continue;
		rule = add_rule(b, chain, 6, "errors of ICMP", NONE);
		term_icmp(b, rule, &icmp_errors[i]);
		add_term(b, rule, TERM_ACCEPT);
	}
	accept_neighbours(b, chain);
}

void close_networks(struct builder *b, struct chain *chain, const struct flows *flows)
{
	const struct closing both = closing_of(b, flows->closed.items, flows->closed.n, 0);
	const struct closing v6 = closing_of(b, flows->closed6.items, flows->closed6.n, 6);
	struct rule *rule;

	if (!both.n && !v6.n && !flows->denied.n && !flows->audited.n && !flows->sealed.n)
		return;
	accept_admitted(b, chain);
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	add_term(b, rule, TERM_ACCEPT);
	deny_egress(b, chain, flows);
	seal_networks(b, chain, flows);
	if (!both.n && !v6.n)
		return;
	if (b->ipv6)
		accept_icmp6(b, chain);
	close_to_borrowed(b, chain, &both, 4);
	if (b->ipv6)
		close_to_borrowed(b, chain, &both, 6);
	close_to_borrowed(b, chain, &v6, 6);
	rule = add_rule(b, chain, 0, "published ports", NONE);
	add_term(b, rule, TERM_CT_STATUS_DNAT);
	add_term(b, rule, TERM_ACCEPT);
	close_one_way(b, chain, &both, both.closed, LOAD_OIFNAME);
	close_one_way(b, chain, &both, both.internal, LOAD_IIFNAME);
	close_one_way(b, chain, &v6, v6.closed, LOAD_OIFNAME);
	close_one_way(b, chain, &v6, v6.internal, LOAD_IIFNAME);
}
