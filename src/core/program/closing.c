/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The closing rules, for networks that no rule of Docker's closes. */
#include "core/program/parts.h"
#include "core/strict/strict.h"

/* Where Docker's drops do not stand: what is not admitted stays out, as Docker would keep it. */
struct closing {
	uint8_t family; /* to which; 0: to both */
	/* Names of sets; closed is NULL where there is nothing to close, internal where none is. */
	const char *closed, *inside, *internal;
};

static struct closing closing_of(struct builder *b, const closed_list *networks, uint8_t family)
{
	struct set closed = {
		.name = name_of_family(b, "closed", family), .key = {FIELD_IFNAME}, .n_key = 1};
	struct set inside = {.name = name_of_family(b, "inside", family),
			     .key = {FIELD_IFNAME, FIELD_IFNAME},
			     .n_key = 2};
	struct set internal = {
		.name = name_of_family(b, "internal", family), .key = {FIELD_IFNAME}, .n_key = 1};

	if (!networks->n)
		return (struct closing){0};
	list_each (network, networks) {
		put_iface(set_add(&closed, b->a, NONE), network->bridge);
		if (!network->apart)
			put_iface(put_iface(set_add(&inside, b->a, NONE), network->bridge),
				  network->bridge);
		if (network->internal)
			put_iface(set_add(&internal, b->a, NONE), network->bridge);
	}
	stand_set(b, &closed);
	stand_set(b, &inside); /* rules name it */
	keep_set(b, &internal);
	return (struct closing){family, closed.name, inside.name,
				internal.n ? internal.name : NULL};
}

/* A source that is borrowed is not let in by a translation either. */
static void close_to_borrowed(struct builder *b, struct chain *chain, const struct closing *c,
			      uint8_t family)
{
	for (enum borrowed i = 0; c->closed && i < N_BORROWED; i++) {
		struct rule *rule = add_borrowed(b, chain, family, i);

		if (!rule)
			continue;
		term_in(b, rule, c->closed, LOAD_OIFNAME);
		term_not_in(b, rule, c->inside, LOAD_IIFNAME, LOAD_OIFNAME);
		add_term(b, rule, TERM_DROP);
	}
}

static void close_one_way(struct builder *b, struct chain *chain, const struct closing *c,
			  const char *set, uint8_t load)
{
	struct rule *rule;

	if (!set)
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
	const struct closing both = closing_of(b, &flows->closed, 0);
	const struct closing v6 = closing_of(b, &flows->closed6, 6);
	struct rule *rule;

	if (!both.closed && !v6.closed && !flows->denied.n && !flows->audited.n && !flows->sealed.n)
		return;
	accept_admitted(b, chain);
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	add_term(b, rule, TERM_ACCEPT);
	deny_egress(b, chain, flows);
	seal_networks(b, chain, flows);
	if (!both.closed && !v6.closed)
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
