/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks with egress deny: what their containers begin beyond their network. On its way through
 * the host it ends in the chain "leaving", unless a policy admitted it before or lifts the
 * prohibition there; to the host's own addresses it ends in "to_host". A lifted packet is as free
 * as without the prohibition, and no more: what others drop stays dropped.
 */
#include "core/ruleset/impl.h"

#include "core/ruleset/groups.h"

#include <netinet/in.h>

#define DENIED "denied" /* their bridges */
#define STAYS  "stays"	/* the same, as the two ends of a packet that does not leave */

#define REFUSED "refused" /* the chain where packets end */

static void build_refused(struct builder *b)
{
	struct chain *chain = add_chain(b, REFUSED, NULL, 0, 0);
	struct rule *rule = add_rule(b, chain, 0, NULL, NONE);

	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	term_log(b, rule, LOG_DROPPED);
	add_term(b, add_rule(b, chain, 0, "egress is denied", NONE), TERM_DROP);
}

static void refuse(struct builder *b, struct chain *chain)
{
	term_name(b, add_rule(b, chain, 0, NULL, NONE), TERM_GOTO, REFUSED);
}

/* --- through the host --- */

static void build_sets(struct builder *b, const struct flows *flows)
{
	struct set *set = new_set(b, DENIED, FIELD_IFNAME);

	list_each (denied, &flows->denied)
		put_iface(set_add(set, b->a, NONE), denied->bridge);
	finish_set(b, set);
	set = new_set(b, STAYS, FIELD_IFNAME, FIELD_IFNAME);
	list_each (denied, &flows->denied)
		put_iface(put_iface(set_add(set, b->a, NONE), denied->bridge), denied->bridge);
	finish_set(b, set);
}

/* Look-ups share their chains' ends with others: a mark says that one found something. */
static void build_lifted(struct builder *b)
{
	struct chain *chain = add_chain(b, "lift", NULL, 0, 0);

	term_number(b, add_rule(b, chain, 0, NULL, NONE), TERM_MARK_SET, b->hooks->accept);
	chain = add_chain(b, "lifted", NULL, 0, 0);
	term_number(b, add_rule(b, chain, 0, NULL, NONE), TERM_MARK_CLEAR, b->hooks->accept);
}

static void term_sources(struct builder *b, struct rule *rule, const struct grant *grant)
{
	const struct peers *from = grant->from;

	if (from->n == 1)
		term_prefix(b, rule, TERM_SADDR, from->items[0].net);
	else
		term_lookup(
			b, rule, TERM_LOOKUP,
			set_of_list(b, from, "from_", grant->from_name ? grant->from_name : "list"),
			LOAD_SADDR);
}

/* Into networks of the file nobody is lifted: policies about them are grants. */
static void refuse_networks(struct builder *b, struct chain *chain, const struct flows *flows)
{
	each_family (family) {
		struct set set = {.name = name_of_family(b, "networks", family),
				  .key = {address_field(family)},
				  .n_key = 1,
				  .interval = true};
		struct rule *rule;

		list_each (bound, &flows->bound)
			if (bound->declared && bound->subnet.ip.family == family)
				put_ip(put_ip(set_add(&set, b->a, NONE),
					      prefix_first(bound->subnet)),
				       prefix_last(bound->subnet));
		if (!set.n)
			continue;
		keep_set(b, &set);
		rule = add_rule(b, chain, family, NULL, NONE);
		term_lookup(b, rule, TERM_LOOKUP, set.name, LOAD_DADDR);
		term_name(b, rule, TERM_GOTO, REFUSED);
	}
}

static void build_leaving(struct builder *b, const struct flows *flows)
{
	grouped_list grouped = {0};
	bool typed = false;
	struct chain *chain;
	struct rule *rule;

	if (flows->lifts.n || flows->to_host.n)
		build_lifted(b);
	if (flows->lifts.n) {
		build_pairs(b, flows->lifts.items, flows->lifts.n, WAY_OUT, &grouped);
		build_groups(b->ends, &grouped, WAY_OUT);
		typed = flows->types && build_types(b, "leaving_types", flows->lifts.items,
						    flows->lifts.n, WAY_OUT, ways[WAY_OUT].target);
	}
	chain = add_chain(b, "leaving", NULL, 0, 0);
	if (flows->lifts.n) {
		refuse_networks(b, chain, flows);
		refuse_borrowed(b, chain, flows, TERM_DROP);
		lookup_pairs(b, chain, SET_LIFTED, WAY_OUT, ways[WAY_OUT].target);
		if (typed)
			lookup_types(b, chain, "leaving_types");
		if (grouped.n)
			dispatch_groups(b, chain, WAY_OUT);
		rule = add_rule(b, chain, 0, NULL, NONE);
		term_number(b, rule, TERM_MARK_HAS, b->hooks->accept);
		term_name(b, rule, TERM_GOTO, "lifted");
	}
	refuse(b, chain);
}

static void term_asked(struct builder *b, struct rule *rule, struct traffic match)
{
	if (match.proto)
		term_number(b, rule, TERM_PROTO, match.proto);
	if (match_has_types(match))
		term_ports(b, rule, TERM_ICMP_TYPE, match.low, match.high);
	if (match_has_ports(match) && !match_every_port(match)) {
		struct term *t = add_term(b, rule, TERM_ORIGINAL_DPORT);

		t->low = match.low;
		t->high = match.high;
	}
}

/*
 * A packet to a published port is for the host (docker-proxy), or is translated before. asked: it
 * is translated, and its port is the one that was asked for. Both ways are as open.
 */
static struct rule *to_host_rule(struct builder *b, struct chain *chain, const struct grant *grant,
				 struct traffic match, bool asked)
{
	uint8_t family = grant->from->items[0].net.ip.family;
	struct rule *rule = add_rule(b, chain, family, NULL, grant->origin);

	term_sources(b, rule, grant);
	if (asked)
		term_asked(b, rule, match);
	else
		term_match(b, rule, match);
	return rule;
}

static void admit_to_host(struct builder *b, struct chain *chain, const struct grant *grant,
			  bool asked)
{
	for (uint32_t m = 0; m < grant->n_matches; m++) {
		struct rule *rule;

		if (grant->logged) { /* a rule of its own before it, for the same packets */
			rule = to_host_rule(b, chain, grant, grant->matches[m], asked);
			add_term(b, rule, TERM_CT_UNCONFIRMED);
			term_name(b, rule, TERM_JUMP, LOG_CHAIN);
		}
		rule = to_host_rule(b, chain, grant, grant->matches[m], asked);
		term_count(b, rule);
		if (asked)
			term_name(b, rule, TERM_GOTO, "lifted");
		else
			add_term(b, rule, TERM_ACCEPT);
	}
}

static void build_asked_host(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, "asked_host", NULL, 0, 0);

	if (flows->to_host.n)
		refuse_borrowed(b, chain, flows, TERM_DROP);
	list_each (grant, &flows->to_host)
		admit_to_host(b, chain, grant, true);
	refuse(b, chain);
}

static void build_chain(struct builder *b)
{
	struct chain *chain = add_chain(b, "egress", NULL, 0, 0);
	struct rule *rule = add_rule(b, chain, 0, "asked for at the host's own address", NONE);

	add_term(b, rule, TERM_CT_STATUS_DNAT);
	term_name(b, rule, TERM_GOTO, "asked_host");
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_lookup(b, rule, TERM_LOOKUP, STAYS, LOAD_IIFNAME, LOAD_OIFNAME);
	add_term(b, rule, TERM_RETURN);
	term_name(b, add_rule(b, chain, 0, NULL, NONE), TERM_GOTO, "leaving");
}

/* --- to the host --- */

static void accept_dhcp(struct builder *b, struct chain *chain, uint8_t family, uint16_t client,
			uint16_t server)
{
	struct rule *rule = add_rule(b, chain, family, "DHCP", NONE);

	term_number(b, rule, TERM_PROTO, IPPROTO_UDP);
	term_ports(b, rule, TERM_SPORT, client, client);
	term_ports(b, rule, TERM_DPORT, server, server);
	add_term(b, rule, TERM_ACCEPT);
}

/* Accepted here is not let through: chains of others behind this one decide. */
static void build_input(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, "to_host", NULL, 0, 0);
	struct rule *rule = add_rule(b, chain, 0, "revoked", NONE);

	term_ct_mark(b, rule, b->hooks->revoked, UINT32_MAX);
	add_term(b, rule, TERM_DROP);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	add_term(b, rule, TERM_ACCEPT);
	accept_dhcp(b, chain, 4, 68, 67);
	if (flows->ipv6) {
		accept_neighbours(b, chain);
		accept_dhcp(b, chain, 6, 546, 547);
	}
	if (flows->to_host.n)
		refuse_borrowed(b, chain, flows, TERM_DROP);
	list_each (grant, &flows->to_host)
		admit_to_host(b, chain, grant, false);
	refuse(b, chain);
	chain = add_chain(b, "input", "filter", HOOK_INPUT, BEFORE_FILTER);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_lookup(b, rule, TERM_LOOKUP, DENIED, LOAD_IIFNAME);
	term_name(b, rule, TERM_GOTO, "to_host");
}

void build_egress(struct builder *b, const struct flows *flows)
{
	if (!flows->denied.n)
		return;
	build_sets(b, flows);
	build_refused(b);
	build_leaving(b, flows);
	build_asked_host(b, flows);
	build_chain(b);
	build_input(b, flows);
}

void deny_egress(struct builder *b, struct chain *chain, const struct flows *flows)
{
	struct rule *rule;

	if (!flows->denied.n)
		return;
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_lookup(b, rule, TERM_LOOKUP, DENIED, LOAD_IIFNAME);
	term_name(b, rule, TERM_JUMP, "egress");
}
