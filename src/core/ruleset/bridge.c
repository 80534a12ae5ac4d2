/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of family bridge: what strict networks need where frames are seen. Between two ports of
 * their bridges nothing passes, also while a port is new and not isolated yet. And nobody tells
 * this host that a neighbour's address is his own: its tables of neighbours stay right.
 */
#include "core/ruleset/impl.h"
#include "core/ruleset/program.h"

#include <linux/if_ether.h>
#include <linux/netfilter.h>

#define PORTS  "ports"
#define NETS   "subnets"
#define OWNERS "owners"

enum { BEFORE_BRIDGE_FILTER = -210, NEIGHBOUR_ADVERTISEMENT = 136 };

/* Rules name these sets, so they stand without elements, too. */
static void build_ports(struct builder *b, const interfaces *ports)
{
	struct set set = {.name = PORTS, .key = {FIELD_IFNAME}, .n_key = 1};

	list_each (port, ports)
		put_iface(set_add(&set, b->a, NONE), *port);
	stand_set(b, &set);
}

static void build_subnets(struct builder *b, const struct flows *flows, uint8_t family)
{
	struct set set = {.name = name_of_family(b, NETS, family),
			  .key = {address_field(family)},
			  .n_key = 1,
			  .interval = true};

	list_each (sealed, &flows->sealed)
		list_each (subnet, &sealed->subnets)
			if (subnet->ip.family == family)
				put_ip(put_ip(set_add(&set, b->a, NONE), prefix_first(*subnet)),
				       prefix_last(*subnet));
	stand_set(b, &set);
}

static void build_owners(struct builder *b, const struct flows *flows, uint8_t family)
{
	struct set set = {.name = name_of_family(b, OWNERS, family),
			  .role = SET_SENDERS,
			  .key = {FIELD_ETHER, address_field(family)},
			  .n_key = 2};

	list_each (sealed, &flows->sealed)
		list_each (sender, &sealed->senders)
			if (sender->ip.family == family)
				put_ip(put_mac(set_add(&set, b->a, NONE), sender->mac), sender->ip);
	stand_set(b, &set);
}

static struct rule *add_frame_rule(struct builder *b, struct chain *chain, uint16_t protocol,
				   uint8_t family, const char *comment)
{
	struct rule *rule = add_rule(b, chain, family, comment, NONE);

	rule->protocol = protocol;
	return rule;
}

/* Both ends lie in strict subnets: no bridge has such frames to pass, for they go by this host. */
static void drop_within(struct builder *b, struct chain *chain, uint8_t family)
{
	const char *subnets = name_of_family(b, NETS, family);
	struct rule *rule = add_frame_rule(b, chain, family == 6 ? ETH_P_IPV6 : ETH_P_IP, family,
					   "a port that is new");

	term_lookup(b, rule, TERM_LOOKUP, subnets, LOAD_SADDR);
	term_lookup(b, rule, TERM_LOOKUP, subnets, LOAD_DADDR);
	add_term(b, rule, TERM_DROP);
}

static void build_between_ports(struct builder *b, bool ipv6)
{
	static const uint8_t sides[] = {LOAD_IIFNAME, LOAD_OIFNAME};
	struct chain *chain = add_chain(b, "forward", "filter", HOOK_FORWARD, BEFORE_BRIDGE_FILTER);
	struct rule *rule;

	for (size_t i = 0; i < COUNT_OF(sides); i++) {
		rule = add_frame_rule(b, chain, 0, 0, "between ports");
		term_lookup(b, rule, TERM_LOOKUP, PORTS, sides[i]);
		add_term(b, rule, TERM_DROP);
	}
	drop_within(b, chain, 4);
	if (ipv6)
		drop_within(b, chain, 6);
	rule = add_frame_rule(b, chain, ETH_P_ARP, 0, "a port that is new");
	term_lookup(b, rule, TERM_LOOKUP, NETS, LOAD_ARP_IP);
	add_term(b, rule, TERM_DROP);
}

static void build_to_host(struct builder *b, bool ipv6)
{
	struct chain *chain = add_chain(b, "input", "filter", HOOK_INPUT, BEFORE_BRIDGE_FILTER);
	struct rule *rule = add_frame_rule(b, chain, ETH_P_ARP, 0, "not the sender's address");

	term_lookup(b, rule, TERM_LOOKUP, NETS, LOAD_ARP_IP);
	term_lookup(b, rule, TERM_LOOKUP_NOT, OWNERS, LOAD_ARP_ETHER, LOAD_ARP_IP);
	add_term(b, rule, TERM_DROP);
	if (!ipv6)
		return;
	rule = add_frame_rule(b, chain, ETH_P_IPV6, 6, "not the sender's address");
	term_icmp(b, rule,
		  &(const struct icmp_types){6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT});
	term_lookup(b, rule, TERM_LOOKUP, NETS "6", LOAD_ND_TARGET);
	term_lookup(b, rule, TERM_LOOKUP_NOT, OWNERS "6", LOAD_ETHER_SADDR, LOAD_ND_TARGET);
	add_term(b, rule, TERM_DROP);
}

void program_bridge(struct ruleset *rs, struct arena *a, const struct flows *flows,
		    const interfaces *ports)
{
	struct builder b = {.rs = rs, .a = a};

	*rs = (struct ruleset){.family = NFPROTO_BRIDGE};
	if (!flows->sealed.n)
		return;
	rs->exists = true;
	build_ports(&b, ports);
	each_family (family) {
		if (family == 6 && !flows->ipv6)
			continue;
		build_subnets(&b, flows, family);
		build_owners(&b, flows, family);
	}
	build_between_ports(&b, flows->ipv6);
	build_to_host(&b, flows->ipv6);
}
