/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks with egress deny: what their containers begin beyond their network. On its way through
 * the host it ends in the chain "leaving", unless a policy admitted it before or lifts the
 * prohibition there; to the host's own addresses it ends in "to_host". A lifted packet is as free
 * as without the prohibition, and no more: what others drop stays dropped.
 *
 * Networks with egress audit pass the same chains. Where a packet of a denied network is dropped,
 * one of theirs gets a bit of the mark and goes on. What still has it behind everybody's filters is
 * what passes today and would be stopped: it is logged there.
 */
#include "core/program/parts.h"

#include "core/program/groups.h"

#include <netinet/in.h>

#define DENIED "denied" /* their bridges */
#define STAYS  "stays"	/* the same, as the two ends of a packet that does not leave */

#define AUDITED "audited" /* bridges of networks with egress audit */

#define REFUSED "refused" /* the chain where packets end */
#define NOTED	"noted"	  /* … and where those of audited networks get their mark */

static struct rule *add_by_bridge(struct builder *b, struct chain *chain, const char *bridges)
{
	struct rule *rule = new_rule(b, chain);

	term_in(b, rule, bridges, LOAD_IIFNAME);
	return rule;
}

/* The first packet of a connection: what nobody answers is one connection, too. */
static void build_noted(struct builder *b)
{
	struct chain *chain = add_chain(b, NOTED);
	struct rule *rule = add_rule(b, chain, 0, "egress would be denied", NONE);

	add_term(b, rule, TERM_CT_UNCONFIRMED);
	term_number(b, rule, TERM_MARK_SET, b->hooks->raw);
}

/* No policy lets a borrowed source out, so it is not marked but said by itself. */
static void build_borrowed(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, BORROWED);
	struct rule *rule = add_by_bridge(b, chain, AUDITED);

	add_term(b, rule, TERM_CT_UNCONFIRMED);
	term_log(b, rule, AUDIT_GROUP, LOG_AUDIT_BORROWED);
	if (!flows->denied.n)
		return;
	add_term(b, add_by_bridge(b, chain, AUDITED), TERM_RETURN);
	add_term(b, add_rule(b, chain, 0, "a borrowed source address", NONE), TERM_DROP);
}

static void build_refused(struct builder *b, const struct flows *flows)
{
	struct chain *chain;
	struct rule *rule;

	if (flows->audited.n) {
		build_noted(b);
		build_borrowed(b, flows);
	}
	chain = add_chain(b, REFUSED);
	if (flows->audited.n)
		term_name(b, add_by_bridge(b, chain, AUDITED), TERM_GOTO, NOTED);
	if (!flows->denied.n)
		return;
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	term_log(b, rule, LOG_GROUP, LOG_DROPPED);
	add_term(b, add_rule(b, chain, 0, "egress is denied", NONE), TERM_DROP);
}

static void refuse(struct builder *b, struct chain *chain)
{
	term_name(b, new_rule(b, chain), TERM_GOTO, REFUSED);
}

/* --- through the host --- */

static void add_bridges(struct builder *b, const char *name, const denied_list *networks)
{
	struct set set = {.name = name, .key = {FIELD_IFNAME}, .n_key = 1};

	list_each (denied, networks)
		put_iface(set_add(&set, b->a, NONE), denied->bridge);
	keep_set(b, &set);
}

static void put_stay(struct builder *b, struct set *set, const char *bridge)
{
	put_iface(put_iface(set_add(set, b->a, NONE), bridge), bridge);
}

static void build_sets(struct builder *b, const struct flows *flows)
{
	struct set *set;

	add_bridges(b, DENIED, &flows->denied);
	add_bridges(b, AUDITED, &flows->audited);
	set = new_set(b, STAYS, FIELD_IFNAME, FIELD_IFNAME);
	list_each (denied, &flows->denied)
		put_stay(b, set, denied->bridge);
	list_each (audited, &flows->audited)
		put_stay(b, set, audited->bridge);
	finish_set(b, set);
}

/* Look-ups share their chains' ends with others: a mark says that one found something. */
static void build_lifted(struct builder *b)
{
	struct chain *chain = add_chain(b, LIFT);

	term_number(b, new_rule(b, chain), TERM_MARK_SET, b->hooks->accept);
	chain = add_chain(b, "lifted");
	term_number(b, new_rule(b, chain), TERM_MARK_CLEAR, b->hooks->accept);
}

static void term_sources(struct builder *b, struct rule *rule, const struct grant *grant)
{
	const struct peers *from = grant->from;

	if (from->n == 1)
		term_prefix(b, rule, TERM_SADDR, from->items[0].net);
	else
		term_in(b, rule,
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
				put_prefix(set_add(&set, b->a, NONE), bound->subnet);
		if (!set.n)
			continue;
		keep_set(b, &set);
		rule = add_rule(b, chain, family, NULL, NONE);
		term_in(b, rule, set.name, LOAD_DADDR);
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
		build_pairs(b, &flows->lifts, WAY_OUT, &grouped);
		build_groups(b, &grouped, WAY_OUT);
		typed = flows->types &&
			build_types(b, "leaving_types", &flows->lifts, WAY_OUT, LIFT);
	}
	chain = add_chain(b, "leaving");
	if (flows->audited.n)
		end_borrowed(b, chain, TERM_GOTO, BORROWED);
	if (flows->lifts.n) {
		refuse_networks(b, chain, flows);
		if (!flows->audited.n)
			end_borrowed(b, chain, TERM_DROP, NULL);
		lookup_pairs(b, chain, WAY_OUT, LIFT);
		if (typed)
			lookup_types(b, chain, "leaving_types");
		if (grouped.n)
			dispatch_groups(b, chain, WAY_OUT);
		rule = new_rule(b, chain);
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

/* Where no policy could lift it, it ends with the rest; audited, it would be taken for another's.
 */
static void refuse_borrowed_to_host(struct builder *b, struct chain *chain,
				    const struct flows *flows)
{
	if (flows->audited.n)
		end_borrowed(b, chain, TERM_GOTO, BORROWED);
	else if (flows->to_host.n)
		end_borrowed(b, chain, TERM_DROP, NULL);
}

static void build_asked_host(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, "asked_host");

	refuse_borrowed_to_host(b, chain, flows);
	list_each (grant, &flows->to_host)
		admit_to_host(b, chain, grant, true);
	refuse(b, chain);
}

static void build_chain(struct builder *b)
{
	struct chain *chain = add_chain(b, "egress");
	struct rule *rule = add_rule(b, chain, 0, "asked for at the host's own address", NONE);

	add_term(b, rule, TERM_CT_STATUS_DNAT);
	term_name(b, rule, TERM_GOTO, "asked_host");
	rule = new_rule(b, chain);
	term_in(b, rule, STAYS, LOAD_IIFNAME, LOAD_OIFNAME);
	add_term(b, rule, TERM_RETURN);
	term_name(b, new_rule(b, chain), TERM_GOTO, "leaving");
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
	struct chain *chain = add_chain(b, "to_host");
	struct rule *rule;

	if (flows->denied.n) {
		rule = add_rule(b, chain, 0, "revoked", NONE);
		if (flows->audited.n)
			term_in(b, rule, DENIED, LOAD_IIFNAME);
		term_ct_mark(b, rule, b->hooks->revoked, UINT32_MAX);
		add_term(b, rule, TERM_DROP);
	}
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	add_term(b, rule, TERM_ACCEPT);
	accept_dhcp(b, chain, 4, 68, 67);
	if (b->ipv6) {
		accept_neighbours(b, chain);
		accept_dhcp(b, chain, 6, 546, 547);
	}
	refuse_borrowed_to_host(b, chain, flows);
	list_each (grant, &flows->to_host)
		admit_to_host(b, chain, grant, false);
	refuse(b, chain);
	if (!flows->denied.n)
		return;
	chain = add_base_chain(b, "input", "filter", HOOK_INPUT, BEFORE_FILTER);
	term_name(b, add_by_bridge(b, chain, DENIED), TERM_GOTO, "to_host");
}

/* --- what audited networks begin, behind everybody's filters --- */

static void build_asked(struct builder *b)
{
	struct chain *chain = add_chain(b, "heard_asked");
	struct rule *rule;

	log_in_shares(b, chain, LOG_AUDIT_ASKED);
	chain = add_base_chain(b, "asked", "filter", HOOK_PREROUTING, BEFORE_EVERY_DNAT);
	rule = add_by_bridge(b, chain, AUDITED);
	add_term(b, rule, TERM_FIB_LOCAL);
	add_term(b, rule, TERM_CT_UNCONFIRMED);
	term_name(b, rule, TERM_GOTO, "heard_asked");
}

/* dnat: the chain for what was translated; NULL: nothing was. */
static void build_heard(struct builder *b, const char *name, const char *prefix, const char *dnat)
{
	struct chain *chain = add_chain(b, name);
	struct rule *rule;

	term_number(b, new_rule(b, chain), TERM_MARK_CLEAR, b->hooks->raw);
	if (dnat) {
		rule = new_rule(b, chain);
		add_term(b, rule, TERM_CT_STATUS_DNAT);
		term_name(b, rule, TERM_GOTO, dnat);
	}
	log_in_shares(b, chain, prefix);
}

static void hear(struct builder *b, struct chain *chain, const char *heard)
{
	struct rule *rule = new_rule(b, chain);

	term_number(b, rule, TERM_MARK_HAS, b->hooks->raw);
	term_name(b, rule, TERM_GOTO, heard);
}

/* Admitted packets may have that bit, too, but then beside the other one. */
static void build_audit(struct builder *b, const struct flows *flows)
{
	struct chain *chain;

	if (!flows->audited.n)
		return;
	build_asked(b);
	build_heard(b, "heard_dnat", LOG_AUDIT_DNAT, NULL);
	build_heard(b, "heard", LOG_AUDIT, "heard_dnat");
	build_heard(b, "heard_host", LOG_AUDIT_HOST, NULL);
	chain = add_base_chain(b, "audit", "filter", HOOK_POSTROUTING, BEHIND_FILTER);
	accept_admitted(b, chain);
	hear(b, chain, "heard");
	chain = add_base_chain(b, "audit_host", "filter", HOOK_INPUT, BEHIND_FILTER);
	term_number(b, add_by_bridge(b, chain, AUDITED), TERM_MARK_CLEAR, b->hooks->raw);
	term_name(b, add_by_bridge(b, chain, AUDITED), TERM_JUMP, "to_host");
	hear(b, chain, "heard_host");
}

void build_egress(struct builder *b, const struct flows *flows)
{
	if (!flows->denied.n && !flows->audited.n)
		return;
	build_sets(b, flows);
	build_refused(b, flows);
	build_leaving(b, flows);
	build_asked_host(b, flows);
	build_chain(b);
	build_input(b, flows);
	build_audit(b, flows);
}

void deny_egress(struct builder *b, struct chain *chain, const struct flows *flows)
{
	if (flows->denied.n)
		term_name(b, add_by_bridge(b, chain, DENIED), TERM_JUMP, "egress");
	if (flows->audited.n)
		term_name(b, add_by_bridge(b, chain, AUDITED), TERM_JUMP, "egress");
}
