/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict networks. Neighbours reach each other only through the forward hook (core/ports/ports.h),
 * where what no policy admits is dropped. What comes from such a bridge with an address that its
 * sender does not have is dropped before anything else sees it.
 */
#include "core/ruleset/sources.h"
#include "core/strict/impl.h"

#include <netinet/in.h>

#define STRICT	 "strict"   /* the bridges */
#define CLOSED	 "alone"    /* those that this host begins nothing into */
#define SENDERS	 "senders"  /* bridge, MAC address, IP address */
#define STATIONS "stations" /* bridge, MAC address, source of neighbour discovery */
#define DECLARED "declared" /* addresses that may get something */
#define SERVED	 "served"   /* protocol, port of this host: published */

#define NEIGHBOURS "neighbours" /* bridge, address that is at home there */

#define UNWANTED "unwanted" /* the chain where packets end */

/* --- sets --- */

void build_bridge_sets(struct builder *b, const char *all, const char *closed,
		       const sealed_list *networks)
{
	struct set every = {.name = all, .key = {FIELD_IFNAME}, .n_key = 1};
	struct set alone = {.name = closed, .key = {FIELD_IFNAME}, .n_key = 1};

	list_each (sealed, networks) {
		put_iface(set_add(&every, b->a, NONE), sealed->bridge);
		if (sealed->closed_to_host)
			put_iface(set_add(&alone, b->a, NONE), sealed->bridge);
	}
	keep_set(b, &every);
	keep_set(b, &alone);
}

/* Rules name this set and those that follow, so they stand without elements, too. */
static void build_declared(struct builder *b, const struct flows *flows, uint8_t family)
{
	struct set set = {.name = name_of_family(b, DECLARED, family),
			  .key = {address_field(family)},
			  .n_key = 1};

	list_each (sealed, &flows->sealed)
		list_each (ip, &sealed->declared)
			if (ip->family == family)
				put_ip(set_add(&set, b->a, NONE), *ip);
	stand_set(b, &set);
}

static void build_senders(struct builder *b, const struct flows *flows, uint8_t family)
{
	struct set set = {.name = name_of_family(b, SENDERS, family),
			  .role = SET_SENDERS,
			  .key = {FIELD_IFNAME, FIELD_ETHER, address_field(family)},
			  .n_key = 3};

	list_each (sealed, &flows->sealed)
		list_each (sender, &sealed->senders)
			if (sender->ip.family == family)
				put_ip(put_mac(put_iface(set_add(&set, b->a, NONE), sealed->bridge),
					       sender->mac),
				       sender->ip);
	stand_set(b, &set);
}

/* The one that the kernel makes of the MAC address (RFC 4291, appendix A). */
static struct ip link_local_of(const uint8_t mac[])
{
	struct ip ip = {.family = 6, .bytes = {0xfe, 0x80, [11] = 0xff, [12] = 0xfe}};

	memcpy(ip.bytes + 8, mac, 3);
	memcpy(ip.bytes + 13, mac + 3, 3);
	ip.bytes[8] ^= 2;
	return ip;
}

static void put_station(struct builder *b, struct set *set, const char *bridge, const uint8_t mac[],
			struct ip source)
{
	put_ip(put_mac(put_iface(set_add(set, b->a, NONE), bridge), mac), source);
}

/*
 * Any link-local source would fill the host's table of neighbours, whose bound is one for all of
 * its networks. An address that is being tried has no source (RFC 4862).
 */
static void build_stations(struct builder *b, const struct flows *flows)
{
	const struct ip nobody = {.family = 6};
	struct set set = {.name = STATIONS,
			  .role = SET_SENDERS,
			  .key = {FIELD_IFNAME, FIELD_ETHER, FIELD_IP6},
			  .n_key = 3};

	list_each (sealed, &flows->sealed)
		list_each (sender, &sealed->senders)
			if (sender->ip.family == 6) {
				put_station(b, &set, sealed->bridge, sender->mac,
					    link_local_of(sender->mac));
				put_station(b, &set, sealed->bridge, sender->mac, nobody);
			}
	stand_set(b, &set);
}

/* --- what is sent --- */

/*
 * All of it is for this host: frames go from no container to another. Nobody of them is a router,
 * nor redirects.
 */
static void pass_discovery(struct builder *b, struct chain *chain, uint8_t first, uint8_t last)
{
	struct rule *rule = add_rule(b, chain, 6, "neighbour discovery", NONE);

	term_icmp(b, rule, &(const struct icmp_types){6, first, last});
	term_in(b, rule, STATIONS, LOAD_IIFNAME, LOAD_ETHER_SADDR, LOAD_SADDR);
	add_term(b, rule, TERM_RETURN);
}

static void build_arriving(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, "sent");
	struct rule *rule;

	each_family_of (b, family) {
		build_senders(b, flows, family);
		rule = add_rule(b, chain, family, NULL, NONE);
		term_in(b, rule, name_of_family(b, SENDERS, family), LOAD_IIFNAME, LOAD_ETHER_SADDR,
			LOAD_SADDR);
		add_term(b, rule, TERM_RETURN);
	}
	if (b->ipv6) {
		build_stations(b, flows);
		pass_discovery(b, chain, ROUTER_SOLICITATION, ROUTER_SOLICITATION);
		pass_discovery(b, chain, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT);
	}
	add_term(b, add_rule(b, chain, 0, "not the sender's address", NONE), TERM_DROP);
	/* a fragment with a borrowed address never meets those of its owner */
	chain = add_base_chain(b, "arriving", "filter", HOOK_PREROUTING, BEFORE_FRAGMENTS);
	rule = new_rule(b, chain);
	term_in(b, rule, STRICT, LOAD_IIFNAME);
	term_name(b, rule, TERM_GOTO, "sent");
}

void build_published(struct builder *b, const char *name, const sealed_list *networks)
{
	struct set set = {
		.name = name, .role = SET_SENDERS, .key = {FIELD_PROTO, FIELD_PORT}, .n_key = 2};

	list_each (sealed, networks)
		list_each (published, &sealed->published)
			put_port(put_proto(set_add(&set, b->a, NONE), published->proto),
				 published->port);
	stand_set(b, &set);
}

/* --- what would get in --- */

static void build_unwanted(struct builder *b)
{
	struct chain *chain = add_chain(b, UNWANTED);
	struct rule *rule = new_rule(b, chain);

	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	term_log(b, rule, LOG_GROUP, LOG_DROPPED);
	add_term(b, add_rule(b, chain, 0, "the network is strict", NONE), TERM_DROP);
}

static void refuse_new(struct builder *b, struct chain *chain)
{
	struct rule *rule;

	drop_revoked(b, chain);
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	term_name(b, rule, TERM_GOTO, UNWANTED);
}

/*
 * Docker serves a published port by a program of the host, too: for neighbours, for other networks,
 * and where it does not translate. What comes from that program to the container is the host's own.
 */
static void build_served(struct builder *b, const struct flows *flows)
{
	struct chain *chain;
	struct rule *rule;

	build_published(b, SERVED, &flows->sealed);
	chain = add_chain(b, "serving");
	rule = add_rule(b, chain, 0, "this host's own", NONE);
	term_name(b, rule, TERM_IIFNAME, "lo");
	add_term(b, rule, TERM_RETURN);
	refuse_new(b, chain);
	chain = add_base_chain(b, "serve", "filter", HOOK_INPUT, BEFORE_FILTER);
	rule = new_rule(b, chain);
	term_in(b, rule, SERVED, LOAD_PROTO, LOAD_DPORT);
	term_name(b, rule, TERM_GOTO, "serving");
}

/*
 * The host would tell neighbours to send to each other directly, and connected sockets do so, into
 * ports that lead nowhere. IPv6 has no switch for it.
 */
static void stop_redirects(struct builder *b, struct chain *chain)
{
	static const struct icmp_types redirects[] = {{4, 5, 5}, {6, 137, 137}};

	for (size_t i = 0; i < COUNT_OF(redirects); i++) {
		struct rule *rule;

		if (redirects[i].family == 6 && !b->ipv6)
			continue;
		rule = add_rule(b, chain, redirects[i].family, "redirects", NONE);
		term_icmp(b, rule, &redirects[i]);
		add_term(b, rule, TERM_DROP);
	}
}

/* --- what this host begins --- */

static void accept_from_host(struct builder *b, struct chain *chain, const struct grant *grant)
{
	for (uint32_t m = 0; m < grant->n_matches; m++)
		for (uint32_t d = 0; d < n_end_rules(grant->to); d++) {
			struct rule *rule = add_rule(b, chain, grant->to->items[0].net.ip.family,
						     NULL, grant->origin);

			term_end(b, rule, TERM_DADDR, LOAD_DADDR, grant->to, d, "list_",
				 grant->to_name);
			term_match(b, rule, grant->matches[m]);
			term_count(b, rule);
			add_term(b, rule, TERM_ACCEPT);
		}
}

/* What policies let this host begin into networks that are closed to it, or would be. */
static void build_opened(struct builder *b, const struct flows *flows)
{
	struct chain *chain;

	if (!flows->from_host.n)
		return;
	chain = add_chain(b, OPENED);
	list_each (grant, &flows->from_host)
		accept_from_host(b, chain, grant);
}

/* To nobody of the file: these get nothing. */
static void refuse_to_nobody(struct builder *b, struct chain *chain)
{
	each_family_of (b, family) {
		struct rule *rule = add_rule(b, chain, family, NULL, NONE);

		term_number(b, rule, TERM_CT_STATE, CT_NEW);
		term_not_in(b, rule, name_of_family(b, DECLARED, family), LOAD_DADDR);
		term_name(b, rule, TERM_GOTO, UNWANTED);
	}
}

/*
 * What this host begins, and programs that serve published ports; what policies translate or let
 * the host begin aside. A connection that was ended and is allowed again lives on.
 */
static void close_to_host(struct builder *b, struct chain *chain, const struct flows *flows)
{
	struct rule *rule;

	if (!ruleset_find_set(b->rs, CLOSED))
		return;
	rule = new_rule(b, chain);
	term_not_in(b, rule, CLOSED, LOAD_OIFNAME);
	add_term(b, rule, TERM_RETURN);
	rule = add_rule(b, chain, 0, "translated by a policy", NONE);
	term_admitted(b, rule);
	add_term(b, rule, TERM_RETURN);
	if (flows->from_host.n) {
		refuse_to_nobody(b, chain);
		rule = new_rule(b, chain);
		term_number(b, rule, TERM_CT_STATE, CT_NEW);
		term_name(b, rule, TERM_JUMP, OPENED);
		rule = new_rule(b, chain);
		term_ct_mark(b, rule, b->hooks->revoked, UINT32_MAX);
		term_name(b, rule, TERM_JUMP, OPENED);
	}
	refuse_new(b, chain);
}

static void build_output(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, "from_host");
	struct rule *rule;

	stop_redirects(b, chain);
	close_to_host(b, chain, flows);
	chain = add_base_chain(b, "begun_here", "filter", HOOK_OUTPUT, BEFORE_FILTER);
	rule = new_rule(b, chain);
	term_in(b, rule, STRICT, LOAD_OIFNAME);
	term_name(b, rule, TERM_GOTO, "from_host");
}

void build_strict(struct builder *b, const struct flows *flows)
{
	build_opened(b, flows);
	if (!flows->sealed.n)
		return;
	build_bridge_sets(b, STRICT, CLOSED, &flows->sealed);
	build_unwanted(b);
	build_arriving(b, flows);
	build_served(b, flows);
	build_output(b, flows);
}

void refuse_undeclared(struct builder *b, struct chain *chain, const struct flows *flows)
{
	if (!flows->sealed.n)
		return;
	each_family_of (b, family) {
		struct rule *rule;

		build_declared(b, flows, family);
		rule = add_rule(b, chain, family, NULL, NONE);
		term_in(b, rule, STRICT, LOAD_OIFNAME);
		term_not_in(b, rule, name_of_family(b, DECLARED, family), LOAD_DADDR);
		term_name(b, rule, TERM_GOTO, UNWANTED);
	}
}

/*
 * Admitted and established packets were accepted before, errors of ICMP that belong to a connection
 * too; Docker accepts published ports later.
 */
void seal_networks(struct builder *b, struct chain *chain, const struct flows *flows)
{
	struct rule *rule;

	if (!flows->sealed.n)
		return;
	rule = new_rule(b, chain);
	term_in(b, rule, STRICT, LOAD_OIFNAME);
	term_name(b, rule, TERM_GOTO, UNWANTED);
}

/*
 * Docker's raw drops, one for each container that runs, are of what comes in by other bridges. What
 * neighbours say to each other passes them in any case. The mark spares each packet these rules,
 * and no look-up is needed for it: the forward hook decides.
 */
void pass_neighbours(struct builder *b, struct chain *chain, const struct flows *flows)
{
	if (!flows->sealed.n)
		return;
	each_family_of (b, family) {
		struct set set = {.name = name_of_family(b, NEIGHBOURS, family),
				  .key = {FIELD_IFNAME, address_field(family)},
				  .n_key = 2};
		struct rule *rule;

		list_each (sealed, &flows->sealed)
			list_each (ip, &sealed->declared)
				if (ip->family == family)
					put_ip(put_iface(set_add(&set, b->a, NONE), sealed->bridge),
					       *ip);
		stand_set(b, &set);
		rule = add_rule(b, chain, family, "between neighbours", NONE);
		term_in(b, rule, set.name, LOAD_IIFNAME, LOAD_DADDR);
		term_number(b, rule, TERM_MARK_SET, b->hooks->raw);
		add_term(b, rule, TERM_RETURN);
	}
}
