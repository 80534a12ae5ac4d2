/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of family bridge: what strict networks need where frames are seen. Between two ports of
 * their bridges nothing passes, also while a port is new and not isolated yet. And nobody tells
 * this host that a neighbour's address is his own: its tables of neighbours stay right.
 *
 * And of networks with isolation audit, what passes from port to port: where br_netfilter leads
 * frames through the chains of family inet, these know the connection; elsewhere frames are
 * reported from here.
 */
#include "core/strict/strict.h"

#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <netinet/in.h>

#define PORTS	  "ports"
#define NETS	  "subnets"
#define OWNERS	  "owners"
#define ELSEWHERE "elsewhere"

#define WATCHED "watched" /* subnets with isolation audit */

enum { BEFORE_BRIDGE_FILTER = -210 };

/* Rules name these sets, so they stand without elements, too. */
static void build_ports(struct builder *b, const interfaces *ports)
{
	struct set set = {.name = PORTS, .key = {FIELD_IFNAME}, .n_key = 1};

	list_each (port, ports)
		put_iface(set_add(&set, b->a, NONE), *port);
	stand_set(b, &set);
}

static void build_subnets(struct builder *b, const char *name, const sealed_list *networks,
			  uint8_t family)
{
	struct set set = {.name = name_of_family(b, name, family),
			  .key = {address_field(family)},
			  .n_key = 1,
			  .interval = true};

	list_each (sealed, networks)
		list_each (subnet, &sealed->subnets)
			if (subnet->ip.family == family)
				put_prefix(set_add(&set, b->a, NONE), *subnet);
	stand_set(b, &set);
}

static void put_senders(struct builder *b, struct set *set, const sender_list *senders,
			uint8_t family)
{
	list_each (sender, senders)
		if (sender->ip.family == family)
			put_ip(put_mac(set_add(set, b->a, NONE), sender->mac), sender->ip);
}

static void build_owners(struct builder *b, const struct flows *flows, uint8_t family)
{
	struct set set = {.name = name_of_family(b, OWNERS, family),
			  .role = SET_SENDERS,
			  .key = {FIELD_ETHER, address_field(family)},
			  .n_key = 2};

	list_each (sealed, &flows->sealed)
		put_senders(b, &set, &sealed->senders, family);
	stand_set(b, &set);
}

/*
 * A container whose default route leads by another network asks there for the gateway's MAC
 * address, as the sender of its address here. Only ARP does so: neighbour discovery asks by
 * link-local addresses.
 */
static void build_elsewhere(struct builder *b, const struct flows *flows)
{
	struct set set = {.name = ELSEWHERE,
			  .role = SET_SENDERS,
			  .key = {FIELD_ETHER, address_field(4)},
			  .n_key = 2};

	list_each (sealed, &flows->sealed)
		put_senders(b, &set, &sealed->elsewhere, 4);
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

	term_in(b, rule, subnets, LOAD_SADDR);
	term_in(b, rule, subnets, LOAD_DADDR);
	add_term(b, rule, TERM_DROP);
}

static void build_between_ports(struct builder *b)
{
	static const uint8_t sides[] = {LOAD_IIFNAME, LOAD_OIFNAME};
	struct chain *chain =
		add_base_chain(b, "forward", "filter", HOOK_FORWARD, BEFORE_BRIDGE_FILTER);
	struct rule *rule;

	for (size_t i = 0; i < COUNT_OF(sides); i++) {
		rule = add_frame_rule(b, chain, 0, 0, "between ports");
		term_in(b, rule, PORTS, sides[i]);
		add_term(b, rule, TERM_DROP);
	}
	drop_within(b, chain, 4);
	if (b->ipv6)
		drop_within(b, chain, 6);
	rule = add_frame_rule(b, chain, ETH_P_ARP, 0, "a port that is new");
	term_in(b, rule, NETS, LOAD_ARP_IP);
	term_not_in(b, rule, ELSEWHERE, LOAD_ARP_ETHER, LOAD_ARP_IP);
	add_term(b, rule, TERM_DROP);
}

/*
 * This host takes off any number of tags of VLAN 0, and what is within the second is seen here by
 * nobody: an ARP reply, for one.
 */
static void drop_tags(struct builder *b, struct chain *chain)
{
	static const uint16_t tags[] = {ETH_P_8021Q, ETH_P_8021AD};

	for (size_t i = 0; i < COUNT_OF(tags); i++) {
		struct rule *rule = add_frame_rule(b, chain, tags[i], 0, "tags within a tag");

		term_in(b, rule, PORTS, LOAD_IIFNAME);
		add_term(b, rule, TERM_DROP);
	}
}

/*
 * Who gives itself an address asks whether somebody has it (RFC 4862). This host answers for
 * everybody of the network, and the owner itself would give the address up.
 */
static void leave_to_owner(struct builder *b, struct chain *chain)
{
	struct rule *rule = add_frame_rule(b, chain, ETH_P_IPV6, 6, "its own address");
	struct prefix nobody;

	term_icmp(b, rule,
		  &(const struct icmp_types){6, NEIGHBOUR_SOLICITATION, NEIGHBOUR_SOLICITATION});
	if (prefix_parse(&nobody, "::/128"))
		term_prefix(b, rule, TERM_SADDR, nobody);
	term_in(b, rule, OWNERS "6", LOAD_ETHER_SADDR, LOAD_ND_TARGET);
	add_term(b, rule, TERM_DROP);
}

static void build_to_host(struct builder *b)
{
	struct chain *chain =
		add_base_chain(b, "input", "filter", HOOK_INPUT, BEFORE_BRIDGE_FILTER);
	struct rule *rule;

	drop_tags(b, chain);
	rule = add_frame_rule(b, chain, ETH_P_ARP, 0, "not the sender's address");
	term_in(b, rule, NETS, LOAD_ARP_IP);
	term_not_in(b, rule, OWNERS, LOAD_ARP_ETHER, LOAD_ARP_IP);
	term_not_in(b, rule, ELSEWHERE, LOAD_ARP_ETHER, LOAD_ARP_IP);
	add_term(b, rule, TERM_DROP);
	if (!b->ipv6)
		return;
	leave_to_owner(b, chain);
	rule = add_frame_rule(b, chain, ETH_P_IPV6, 6, "not the sender's address");
	term_icmp(b, rule,
		  &(const struct icmp_types){6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT});
	term_in(b, rule, NETS "6", LOAD_ND_TARGET);
	term_not_in(b, rule, OWNERS "6", LOAD_ETHER_SADDR, LOAD_ND_TARGET);
	add_term(b, rule, TERM_DROP);
}

static void build_strict_frames(struct builder *b, const struct flows *flows,
				const interfaces *ports)
{
	build_ports(b, ports);
	build_elsewhere(b, flows);
	each_family_of (b, family) {
		build_subnets(b, NETS, &flows->sealed, family);
		build_owners(b, flows, family);
	}
	build_between_ports(b);
	build_to_host(b);
}

/* --- isolation audit --- */

/*
 * The mark says that no chain of family inet has seen the frame: the first rule of the forward hook
 * there clears it.
 */
static void mark_frames(struct builder *b, const struct flows *flows)
{
	struct chain *chain =
		add_base_chain(b, "frames", "filter", HOOK_FORWARD, BEFORE_BRIDGE_FILTER);

	each_family_of (b, family) {
		const char *subnets = name_of_family(b, WATCHED, family);
		struct rule *rule;

		build_subnets(b, WATCHED, &flows->watched, family);
		rule = add_frame_rule(b, chain, family == 6 ? ETH_P_IPV6 : ETH_P_IP, family, NULL);
		term_in(b, rule, subnets, LOAD_SADDR);
		term_in(b, rule, subnets, LOAD_DADDR);
		term_number(b, rule, TERM_MARK_SET, b->hooks->raw);
	}
}

/* Of ICMP only who asks for an echo begins something. */
static void sample_echoes(struct builder *b, struct chain *chain)
{
	static const struct icmp_types echoes[] = {{4, ECHO_REQUEST, ECHO_REQUEST},
						   {6, ECHO_REQUEST6, ECHO_REQUEST6}};

	for (size_t i = 0; i < COUNT_OF(echoes); i++) {
		const uint8_t family = echoes[i].family;
		const uint16_t protocol = family == 6 ? ETH_P_IPV6 : ETH_P_IP;
		struct rule *rule;

		if (family == 6 && !b->ipv6)
			continue;
		rule = add_frame_rule(b, chain, protocol, family, NULL);
		term_icmp(b, rule, &echoes[i]);
		term_name(b, rule, TERM_GOTO, "sampled");
		rule = add_frame_rule(b, chain, protocol, family, NULL);
		term_number(b, rule, TERM_PROTO, family == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
		add_term(b, rule, TERM_RETURN);
	}
}

static void build_unseen(struct builder *b)
{
	struct chain *chain = add_chain(b, "begun");
	struct rule *rule;

	log_in_shares(b, chain, LOG_AUDIT_FRAME);
	chain = add_chain(b, "sampled");
	log_in_shares(b, chain, LOG_AUDIT_SAMPLE);
	chain = add_chain(b, "unseen");
	term_number(b, new_rule(b, chain), TERM_MARK_CLEAR, b->hooks->raw);
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_PROTO, IPPROTO_TCP);
	add_term(b, rule, TERM_TCP_BEGINS);
	term_name(b, rule, TERM_GOTO, "begun");
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_PROTO, IPPROTO_TCP);
	add_term(b, rule, TERM_RETURN);
	sample_echoes(b, chain);
	term_name(b, new_rule(b, chain), TERM_GOTO, "sampled");
}

/* What was admitted has the other bit, too. */
static void watch_frames(struct builder *b, const struct flows *flows)
{
	struct chain *chain;
	struct rule *rule;

	mark_frames(b, flows);
	build_unseen(b);
	chain = add_base_chain(b, "passed", "filter", HOOK_FORWARD, BEHIND_FILTER);
	accept_admitted(b, chain);
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_MARK_HAS, b->hooks->raw);
	term_name(b, rule, TERM_GOTO, "unseen");
}

void program_bridge(struct ruleset *rs, struct arena *a, const struct flows *flows,
		    const struct hooks *hooks, const interfaces *ports)
{
	struct builder b = {.rs = rs, .a = a, .hooks = hooks, .ipv6 = flows->ipv6};

	*rs = (struct ruleset){.family = NFPROTO_BRIDGE};
	rs->exists = flows->sealed.n || flows->watched.n;
	if (flows->sealed.n)
		build_strict_frames(&b, flows, ports);
	if (flows->watched.n)
		watch_frames(&b, flows);
}
