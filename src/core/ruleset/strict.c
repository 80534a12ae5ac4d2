/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict networks. Neighbours reach each other only through the forward hook (core/ports/ports.h),
 * where what no policy admits is dropped. What comes from such a bridge with an address that its
 * sender does not have is dropped before anything else sees it.
 *
 * Networks with isolation audit: nothing is dropped. What gets in although strict would stop it is
 * reported behind everybody's filters.
 */
#include "core/ruleset/program.h"

#include "core/ports/ports.h"
#include "core/ruleset/impl.h"

#include <netinet/in.h>

#define STRICT	 "strict"   /* the bridges */
#define CLOSED	 "alone"    /* those that this host begins nothing into */
#define SENDERS	 "senders"  /* bridge, MAC address, IP address */
#define STATIONS "stations" /* bridge, MAC address, source of neighbour discovery */
#define DECLARED "declared" /* addresses that may get something */
#define SERVED	 "served"   /* protocol, port of this host: published */

#define OPENED "opened" /* a chain: what policies let this host begin there */

#define NEIGHBOURS "neighbours" /* bridge, address that is at home there */

#define UNWANTED "unwanted" /* the chain where packets end */

/* The same of networks with isolation audit. */
#define WATCHED	       "watched"
#define WATCHED_ALONE  "watched_alone"
#define WATCHED_SERVED "watched_served"
#define BORROWED_INTO  "borrowed_into"

/* --- who sits where --- */

static struct sender sender_of(const struct mac *mac, struct ip ip)
{
	struct sender sender = {.ip = ip};

	memcpy(sender.mac, mac->bytes, sizeof(sender.mac));
	return sender;
}

/* One that is on several networks may answer for its other addresses by this one. */
static void add_senders(struct sealed *sealed, struct arena *a,
			const struct engine_container *container, const struct mac *mac)
{
	list_each (own, &container->endpoints) {
		if (own->ip.family)
			*list_add(a, &sealed->senders) = sender_of(mac, own->ip);
		if (own->ip6.family)
			*list_add(a, &sealed->senders) = sender_of(mac, own->ip6);
	}
}

/* And by its other ones, if its routes lead there, for its address here. */
static void add_elsewhere(struct sealed *sealed, struct arena *a,
			  const struct engine_container *container, const struct engine_endpoint *e)
{
	struct mac mac;

	list_each (other, &container->endpoints)
		if (other != e && e->ip.family && mac_parse(&mac, other->mac))
			*list_add(a, &sealed->elsewhere) = sender_of(&mac, e->ip);
}

static void add_container(struct sealed *sealed, struct arena *a,
			  const struct engine_container *container, const struct engine_endpoint *e)
{
	struct mac mac;

	list_each (published, &container->published)
		*list_add(a, &sealed->published) =
			(struct published){published->port, published->proto};
	if (mac_parse(&mac, e->mac))
		add_senders(sealed, a, container, &mac);
	add_elsewhere(sealed, a, container, e);
}

/* Of containers that run: the engine says no MAC address of others. by_engine: as its networks. */
static void add_containers(struct arena *a, const struct engine *engine,
			   struct sealed *const *by_engine)
{
	list_each (container, &engine->containers)
		list_each (e, &container->endpoints) {
			const struct engine_network *network =
				container->running ? engine_find_network(engine, e->network) : NULL;
			struct sealed *sealed =
				network ? by_engine[network - engine->networks.items] : NULL;

			if (sealed)
				add_container(sealed, a, container, e);
		}
}

static struct sealed seal(const struct config *config, struct arena *a, uint32_t i,
			  const char *bridge)
{
	const struct network *n = &config->networks.items[i];
	struct sealed sealed = {.bridge = bridge, .network = i, .closed_to_host = !n->host};

	for (enum family f = 0; f < N_FAMILIES; f++)
		if (n->ipam[f].subnet.ip.family)
			*list_add(a, &sealed.subnets) = n->ipam[f].subnet;
	return sealed;
}

void strict_seal(struct flows *flows, struct arena *a, const struct config *config,
		 const char *const *bridges, const struct engine *engine)
{
	struct sealed **by_network, **by_engine;

	if (!config->stricts && !config->watches)
		return;
	list_reserve(a, &flows->sealed, config->networks.n); /* they stay where they are */
	list_reserve(a, &flows->watched, config->networks.n);
	by_network = arena_array(a, struct sealed *, config->networks.n);
	by_engine = arena_array(a, struct sealed *, engine->networks.n);
	for (uint32_t i = 0; i < config->networks.n; i++) {
		const struct network *n = &config->networks.items[i];
		const struct engine_network *e = engine_find_network(engine, n->name);
		struct sealed *sealed;

		if (!bridges[i] ||
		    (n->isolation != ISOLATION_STRICT && n->isolation != ISOLATION_AUDIT))
			continue;
		sealed = n->isolation == ISOLATION_STRICT ? list_add(a, &flows->sealed)
							  : list_add(a, &flows->watched);
		*sealed = seal(config, a, i, bridges[i]);
		by_network[i] = sealed;
		if (e)
			by_engine[e - engine->networks.items] = sealed;
	}
	list_each (address, &config->addresses)
		if (address->network != NONE && by_network[address->network])
			*list_add(a, &by_network[address->network]->declared) = address->ip;
	add_containers(a, engine, by_engine);
}

/* --- sets --- */

/* all, closed: names of the sets of their bridges, and of those that this host begins nothing into.
 */
static void build_bridge_sets(struct builder *b, const char *all, const char *closed,
			      const struct sealed *sealed, uint32_t n)
{
	struct set every = {.name = all, .key = {FIELD_IFNAME}, .n_key = 1};
	struct set alone = {.name = closed, .key = {FIELD_IFNAME}, .n_key = 1};

	for (uint32_t i = 0; i < n; i++) {
		put_iface(set_add(&every, b->a, NONE), sealed[i].bridge);
		if (sealed[i].closed_to_host)
			put_iface(set_add(&alone, b->a, NONE), sealed[i].bridge);
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
	term_lookup(b, rule, TERM_LOOKUP, STATIONS, LOAD_IIFNAME, LOAD_ETHER_SADDR, LOAD_SADDR);
	add_term(b, rule, TERM_RETURN);
}

static void build_arriving(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, "sent", NULL, 0, 0);
	struct rule *rule;

	each_family (family) {
		if (family == 6 && !flows->ipv6)
			continue;
		build_senders(b, flows, family);
		rule = add_rule(b, chain, family, NULL, NONE);
		term_lookup(b, rule, TERM_LOOKUP, name_of_family(b, SENDERS, family), LOAD_IIFNAME,
			    LOAD_ETHER_SADDR, LOAD_SADDR);
		add_term(b, rule, TERM_RETURN);
	}
	if (flows->ipv6) {
		build_stations(b, flows);
		pass_discovery(b, chain, ROUTER_SOLICITATION, ROUTER_SOLICITATION);
		pass_discovery(b, chain, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT);
	}
	add_term(b, add_rule(b, chain, 0, "not the sender's address", NONE), TERM_DROP);
	/* a fragment with a borrowed address never meets those of its owner */
	chain = add_chain(b, "arriving", "filter", HOOK_PREROUTING, BEFORE_FRAGMENTS);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_lookup(b, rule, TERM_LOOKUP, STRICT, LOAD_IIFNAME);
	term_name(b, rule, TERM_GOTO, "sent");
}

static void build_published(struct builder *b, const char *name, const struct sealed *sealed,
			    uint32_t n)
{
	struct set set = {
		.name = name, .role = SET_SENDERS, .key = {FIELD_PROTO, FIELD_PORT}, .n_key = 2};

	for (uint32_t i = 0; i < n; i++)
		list_each (published, &sealed[i].published)
			put_port(put_proto(set_add(&set, b->a, NONE), published->proto),
				 published->port);
	stand_set(b, &set);
}

/* --- what would get in --- */

static void build_unwanted(struct builder *b)
{
	struct chain *chain = add_chain(b, UNWANTED, NULL, 0, 0);
	struct rule *rule = add_rule(b, chain, 0, NULL, NONE);

	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	term_log(b, rule, LOG_GROUP, LOG_DROPPED);
	add_term(b, add_rule(b, chain, 0, "the network is strict", NONE), TERM_DROP);
}

static void refuse_new(struct builder *b, struct chain *chain)
{
	struct rule *rule;

	drop_revoked(b, chain);
	rule = add_rule(b, chain, 0, NULL, NONE);
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

	build_published(b, SERVED, flows->sealed.items, flows->sealed.n);
	chain = add_chain(b, "serving", NULL, 0, 0);
	rule = add_rule(b, chain, 0, "this host's own", NONE);
	term_name(b, rule, TERM_IIFNAME, "lo");
	add_term(b, rule, TERM_RETURN);
	refuse_new(b, chain);
	chain = add_chain(b, "serve", "filter", HOOK_INPUT, BEFORE_FILTER);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_lookup(b, rule, TERM_LOOKUP, SERVED, LOAD_PROTO, LOAD_DPORT);
	term_name(b, rule, TERM_GOTO, "serving");
}

/*
 * The host would tell neighbours to send to each other directly, and connected sockets do so, into
 * ports that lead nowhere. IPv6 has no switch for it.
 */
static void stop_redirects(struct builder *b, struct chain *chain, bool ipv6)
{
	static const struct icmp_types redirects[] = {{4, 5, 5}, {6, 137, 137}};

	for (size_t i = 0; i < COUNT_OF(redirects); i++) {
		struct rule *rule;

		if (redirects[i].family == 6 && !ipv6)
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
	chain = add_chain(b, OPENED, NULL, 0, 0);
	list_each (grant, &flows->from_host)
		accept_from_host(b, chain, grant);
}

/* To nobody of the file: these get nothing. */
static void refuse_to_nobody(struct builder *b, struct chain *chain, const struct flows *flows)
{
	each_family (family) {
		struct rule *rule;

		if (family == 6 && !flows->ipv6)
			continue;
		rule = add_rule(b, chain, family, NULL, NONE);
		term_number(b, rule, TERM_CT_STATE, CT_NEW);
		term_lookup(b, rule, TERM_LOOKUP_NOT, name_of_family(b, DECLARED, family),
			    LOAD_DADDR);
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
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_lookup(b, rule, TERM_LOOKUP_NOT, CLOSED, LOAD_OIFNAME);
	add_term(b, rule, TERM_RETURN);
	rule = add_rule(b, chain, 0, "translated by a policy", NONE);
	term_admitted(b, rule);
	add_term(b, rule, TERM_RETURN);
	if (flows->from_host.n) {
		refuse_to_nobody(b, chain, flows);
		rule = add_rule(b, chain, 0, NULL, NONE);
		term_number(b, rule, TERM_CT_STATE, CT_NEW);
		term_name(b, rule, TERM_JUMP, OPENED);
		rule = add_rule(b, chain, 0, NULL, NONE);
		term_ct_mark(b, rule, b->hooks->revoked, UINT32_MAX);
		term_name(b, rule, TERM_JUMP, OPENED);
	}
	refuse_new(b, chain);
}

static void build_output(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, "from_host", NULL, 0, 0);
	struct rule *rule;

	stop_redirects(b, chain, flows->ipv6);
	close_to_host(b, chain, flows);
	chain = add_chain(b, "begun_here", "filter", HOOK_OUTPUT, BEFORE_FILTER);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_lookup(b, rule, TERM_LOOKUP, STRICT, LOAD_OIFNAME);
	term_name(b, rule, TERM_GOTO, "from_host");
}

void build_strict(struct builder *b, const struct flows *flows)
{
	build_opened(b, flows);
	if (!flows->sealed.n)
		return;
	build_bridge_sets(b, STRICT, CLOSED, flows->sealed.items, flows->sealed.n);
	build_unwanted(b);
	build_arriving(b, flows);
	build_served(b, flows);
	build_output(b, flows);
}

void refuse_undeclared(struct builder *b, struct chain *chain, const struct flows *flows)
{
	each_family (family) {
		struct rule *rule;

		if (!flows->sealed.n || (family == 6 && !flows->ipv6))
			continue;
		build_declared(b, flows, family);
		rule = add_rule(b, chain, family, NULL, NONE);
		term_lookup(b, rule, TERM_LOOKUP, STRICT, LOAD_OIFNAME);
		term_lookup(b, rule, TERM_LOOKUP_NOT, name_of_family(b, DECLARED, family),
			    LOAD_DADDR);
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
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_lookup(b, rule, TERM_LOOKUP, STRICT, LOAD_OIFNAME);
	term_name(b, rule, TERM_GOTO, UNWANTED);
}

/*
 * Docker's raw drops are of what comes in by other bridges. What neighbours say to each other needs
 * no mark against them, and looking for one would cost each of their packets two routes.
 */
void pass_neighbours(struct builder *b, struct chain *chain, const struct flows *flows)
{
	each_family (family) {
		struct set set = {.name = name_of_family(b, NEIGHBOURS, family),
				  .key = {FIELD_IFNAME, address_field(family)},
				  .n_key = 2};
		struct rule *rule;

		if (!flows->sealed.n || (family == 6 && !flows->ipv6))
			continue;
		list_each (sealed, &flows->sealed)
			list_each (ip, &sealed->declared)
				if (ip->family == family)
					put_ip(put_iface(set_add(&set, b->a, NONE), sealed->bridge),
					       *ip);
		stand_set(b, &set);
		rule = add_rule(b, chain, family, "between neighbours", NONE);
		term_lookup(b, rule, TERM_LOOKUP, set.name, LOAD_IIFNAME, LOAD_DADDR);
		add_term(b, rule, TERM_RETURN);
	}
}

/* --- isolation audit: what would not get in, behind everybody's filters --- */

/* First packets of connections that lead to one of these bridges go on in another chain. */
static void hear_new(struct builder *b, struct chain *chain, const char *bridges,
		     enum term_kind verdict, const char *to)
{
	struct rule *rule = add_rule(b, chain, 0, NULL, NONE);

	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	add_term(b, rule, TERM_CT_UNCONFIRMED);
	term_lookup(b, rule, TERM_LOOKUP, bridges, LOAD_OIFNAME);
	term_name(b, rule, verdict, to);
}

static void build_reported(struct builder *b, const struct flows *flows, const char *name,
			   const char *prefix)
{
	log_in_shares(b, add_chain(b, name, NULL, 0, 0), flows->ipv6, prefix);
}

static void watch_forward(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, BORROWED_INTO, NULL, 0, 0);

	term_log(b, add_rule(b, chain, 0, NULL, NONE), AUDIT_GROUP, LOG_AUDIT_BORROWED);
	chain = add_chain(b, "heard_into", NULL, 0, 0);
	/* no policy lets a borrowed source in, and nobody is to blame for it */
	end_borrowed(b, chain, flows->ipv6, TERM_GOTO, BORROWED_INTO);
	log_in_shares(b, chain, flows->ipv6, LOG_AUDIT_INTO);
	chain = add_chain(b, "watch_forward", "filter", HOOK_FORWARD, BEHIND_FILTER);
	accept_admitted(b, chain);
	hear_new(b, chain, WATCHED, TERM_GOTO, "heard_into");
}

/* What "host": false would stop. */
static void watch_output(struct builder *b, const struct flows *flows)
{
	struct chain *chain;
	struct rule *rule;

	if (!ruleset_find_set(b->rs, WATCHED_ALONE))
		return;
	build_reported(b, flows, "heard_by_host", LOG_AUDIT_BY_HOST);
	chain = add_chain(b, "watch_output", "filter", HOOK_OUTPUT, BEHIND_FILTER);
	rule = add_rule(b, chain, 0, "translated by a policy", NONE);
	term_admitted(b, rule);
	add_term(b, rule, TERM_ACCEPT);
	if (flows->from_host.n)
		hear_new(b, chain, WATCHED_ALONE, TERM_JUMP, OPENED);
	hear_new(b, chain, WATCHED_ALONE, TERM_GOTO, "heard_by_host");
}

/* Programs of this host that serve published ports. */
static void watch_input(struct builder *b, const struct flows *flows)
{
	struct chain *chain;
	struct rule *rule;

	build_published(b, WATCHED_SERVED, flows->watched.items, flows->watched.n);
	build_reported(b, flows, "heard_served", LOG_AUDIT_SERVED);
	chain = add_chain(b, "watch_input", "filter", HOOK_INPUT, BEHIND_FILTER);
	rule = add_rule(b, chain, 0, "this host's own", NONE);
	term_name(b, rule, TERM_IIFNAME, "lo");
	add_term(b, rule, TERM_ACCEPT);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	add_term(b, rule, TERM_CT_UNCONFIRMED);
	term_lookup(b, rule, TERM_LOOKUP, WATCHED_SERVED, LOAD_PROTO, LOAD_DPORT);
	term_name(b, rule, TERM_GOTO, "heard_served");
}

void build_watched(struct builder *b, const struct flows *flows)
{
	if (!flows->watched.n)
		return;
	build_bridge_sets(b, WATCHED, WATCHED_ALONE, flows->watched.items, flows->watched.n);
	watch_forward(b, flows);
	watch_output(b, flows);
	watch_input(b, flows);
}

/* --- without an engine --- */

struct ruleset strict_keep_senders(struct arena *a, const struct ruleset *want,
				   const struct ruleset *have)
{
	struct ruleset kept = *want;

	kept.sets.items = NULL;
	kept.sets.n = kept.sets.cap = 0;
	list_each (set, &want->sets) {
		const struct set *stands =
			set->role == SET_SENDERS ? ruleset_find_set(have, set->name) : NULL;
		struct set *copy = list_add(a, &kept.sets);

		*copy = *set;
		if (!stands || stands->n_key != set->n_key)
			continue;
		copy->elements = stands->elements;
		copy->n = stands->n;
		copy->cap = stands->cap;
		copy->size = stands->size;
		copy->origins = arena_array(a, uint32_t, copy->n);
		for (uint32_t i = 0; i < copy->n; i++)
			copy->origins[i] = NONE;
	}
	return kept;
}
