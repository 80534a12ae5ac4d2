/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet filter program: flows in, one nf_tables table out. What most policies are (addresses
 * and single ports) becomes elements of hashed sets and maps, so that a packet's cost does not
 * depend on their number; ranges go to interval sets; translations that are more than interface,
 * protocol and port become rules of their own.
 *
 * Marks carry the verdict: bits that arrive set are cleared, "accept" is set for what we admit, and
 * one rule in Docker's own chains accepts it there (edge/firewall/handoff.h). Admitted flows keep
 * the accept bit in their conntrack mark, so that established packets cost one comparison. Others
 * write into that word, too: an established packet without the bit is looked up like a new one.
 */
#include "core/ruleset/impl.h"

#include <netinet/in.h>

bool match_has_ports(struct traffic match)
{
	return match.proto == IPPROTO_TCP || match.proto == IPPROTO_UDP ||
	       match.proto == IPPROTO_SCTP;
}

bool match_every_port(struct traffic match)
{
	return match.low == 0 && match.high == UINT16_MAX;
}

bool flows_matter(const struct flows *flows)
{
	return flows->allows.n || flows->translations.n || flows->masquerades.n ||
	       flows->closed.n || flows->tied.n;
}

/* --- what may pass --- */

/*
 * Three shapes of allowed flows: address to address and port, address to address and every port of
 * a protocol, and everything else as ranges. Sets that hold nothing are not made.
 */
static void build_allows(struct builder *b, const struct flows *flows)
{
	struct set ports = {.name = "allow",
			    .counts = b->counted,
			    .key = {FIELD_IP4, FIELD_IP4, FIELD_PROTO, FIELD_PORT},
			    .n_key = 4};
	struct set hosts = {.name = "allow_all_ports",
			    .counts = b->counted,
			    .key = {FIELD_IP4, FIELD_IP4, FIELD_PROTO},
			    .n_key = 3};
	struct box_list boxes = {0};

	set_reserve(&ports, b->a, flows->allows.n); /* most policies are */
	list_each (flow, &flows->allows) {
		bool single = prefix_is_single(flow->src) && prefix_is_single(flow->dst);
		uint8_t *at;

		if (single && match_single_port(flow->match)) {
			at = set_add(&ports, b->a, flow->origin);
			at = put_proto(put_ip(put_ip(at, flow->src.ip), flow->dst.ip),
				       flow->match.proto);
			put_port(at, flow->match.low);
		} else if (single && flow->match.proto && match_every_port(flow->match)) {
			at = set_add(&hosts, b->a, flow->origin);
			put_proto(put_ip(put_ip(at, flow->src.ip), flow->dst.ip),
				  flow->match.proto);
		} else {
			*list_add(b->a, &boxes.list) = box_of_flow(flow);
		}
	}
	if (ports.n)
		finish_set(b, memcpy(list_add(b->a, &b->rs->sets), &ports, sizeof(ports)));
	if (hosts.n)
		finish_set(b, memcpy(list_add(b->a, &b->rs->sets), &hosts, sizeof(hosts)));
	layers_build(&b->layers, b->a, &boxes);
	for (uint32_t i = 0; i < b->layers.n; i++) {
		struct set *set = new_set(b, arena_printf(b->a, "allow_ranges_%u", i), FIELD_IP4,
					  FIELD_IP4, FIELD_PROTO, FIELD_PORT);

		set->interval = true;
		set->counts = b->counted;
		list_each (box, &b->layers.items[i].list)
			memcpy(set_add(set, b->a, box->origin), box->bounds, sizeof(box->bounds));
		finish_set(b, set);
	}
}

#define UNCOUNTED "uncounted_"

/*
 * Elements count new connections; packets of old ones are looked up in sets of their own: all of
 * them before Docker's raw drops, in both directions, and those whose connection mark somebody
 * overwrote. How the names of these sets begin.
 */
static const char *build_uncounted(struct builder *b)
{
	uint32_t n = b->rs->sets.n;

	if (!b->counted)
		return "";
	for (uint32_t i = 0; i < n; i++) {
		struct set copy = b->rs->sets.items[i];

		if (!copy.counts)
			continue;
		copy.name = arena_printf(b->a, UNCOUNTED "%s", copy.name);
		copy.counts = false;
		memcpy(list_add(b->a, &b->rs->sets), &copy, sizeof(copy));
	}
	return UNCOUNTED;
}

/* One rule per set of allowed flows: what it finds goes on to `verdict`. */
static void lookup_allows(struct builder *b, struct chain *chain, const char *sets, bool reply,
			  enum term_kind verdict, const char *target, uint32_t mark)
{
	const char *names = arena_printf(b->a, "%sallow", sets);
	uint8_t from = reply ? LOAD_DADDR : LOAD_SADDR, to = reply ? LOAD_SADDR : LOAD_DADDR;
	uint8_t port = reply ? LOAD_SPORT : LOAD_DPORT;

	list_each (set, &b->rs->sets) {
		struct rule *rule;

		if (strncmp(set->name, names, strlen(names)) != 0)
			continue;
		rule = add_rule(b, chain, 4, NULL, NONE);
		if (set->n_key == 3)
			term_lookup(b, rule, TERM_LOOKUP, set->name, from, to, LOAD_PROTO);
		else
			term_lookup(b, rule, TERM_LOOKUP, set->name, from, to, LOAD_PROTO, port);
		if (verdict == TERM_MARK_SET)
			term_number(b, rule, TERM_MARK_SET, mark);
		else
			term_name(b, rule, verdict, target);
	}
}

static void build_tied(struct builder *b, const struct flows *flows)
{
	struct set *set = new_set(b, "sources", FIELD_IP4);

	set->interval = true;
	list_each (tied, &flows->tied) {
		uint8_t *at = set_add(set, b->a, NONE);

		put_ip(put_ip(at, prefix_first(tied->subnet)), prefix_last(tied->subnet));
	}
	finish_set(b, set);
}

static void build_bridges(struct builder *b, const struct flows *flows)
{
	struct set *set;

	if (!flows->homes.n)
		return;
	set = new_set(b, "bridges", FIELD_IFNAME);
	list_each (home, &flows->homes)
		put_iface(set_add(set, b->a, NONE), home->bridge);
	finish_set(b, set);
}

static struct rule *add_borrowed(struct builder *b, struct chain *chain, const char *set,
				 uint8_t load)
{
	struct rule *rule = add_rule(b, chain, 4, "a borrowed source address", NONE);

	term_lookup(b, rule, TERM_LOOKUP, set, load);
	add_term(b, rule, TERM_FIB_FOREIGN);
	return rule;
}

/*
 * Nobody gets in by borrowing an address: of a network that he is not on, or, from a container, of
 * somebody beyond the host. The way back tells: it must be the interface that the packet came by.
 */
static void refuse_borrowed(struct builder *b, struct chain *chain)
{
	add_term(b, add_borrowed(b, chain, "sources", LOAD_SADDR), TERM_RETURN);
	if (ruleset_find_set(b->rs, "bridges"))
		add_term(b, add_borrowed(b, chain, "bridges", LOAD_IIFNAME), TERM_RETURN);
}

static void clear_marks(struct builder *b, struct chain *chain)
{
	struct rule *rule = add_rule(b, chain, 0, NULL, NONE);

	term_number(b, rule, TERM_MARK_CLEAR, b->facts->mark_accept | b->facts->mark_raw);
}

/* --- the tables --- */

static void build_raw(struct builder *b, const char *sets)
{
	struct chain *chain = add_chain(b, "raw", "filter", HOOK_PREROUTING, BEFORE_RAW);

	clear_marks(b, chain);
	refuse_borrowed(b, chain);
	lookup_allows(b, chain, sets, false, TERM_MARK_SET, NULL, b->facts->mark_raw);
	lookup_allows(b, chain, sets, true, TERM_MARK_SET, NULL, b->facts->mark_raw);
}

/* A source that is borrowed is not let in by a translation either. */
static void close_to_borrowed(struct builder *b, struct chain *chain, const char *set, uint8_t load)
{
	struct rule *rule;

	if (!ruleset_find_set(b->rs, set))
		return;
	rule = add_borrowed(b, chain, set, load);
	term_lookup(b, rule, TERM_LOOKUP, "closed", LOAD_OIFNAME);
	term_lookup(b, rule, TERM_LOOKUP_NOT, "inside", LOAD_IIFNAME, LOAD_OIFNAME);
	add_term(b, rule, TERM_DROP);
}

static void close_one_way(struct builder *b, struct chain *chain, const char *set, uint8_t load)
{
	struct rule *rule = add_rule(b, chain, 0, "nobody else closes this network", NONE);

	term_lookup(b, rule, TERM_LOOKUP, set, load);
	term_lookup(b, rule, TERM_LOOKUP_NOT, "inside", LOAD_IIFNAME, LOAD_OIFNAME);
	add_term(b, rule, TERM_DROP);
}

/* Where Docker's drops do not stand: what is not admitted stays out, as Docker would keep it. */
static void close_networks(struct builder *b, struct chain *chain, const struct flows *flows)
{
	struct set *closed, *inside, *internal = NULL;
	struct rule *rule;

	if (!flows->closed.n)
		return;
	closed = new_set(b, "closed", FIELD_IFNAME);
	list_each (c, &flows->closed)
		put_iface(set_add(closed, b->a, NONE), c->bridge);
	finish_set(b, closed);
	inside = new_set(b, "inside", FIELD_IFNAME, FIELD_IFNAME);
	list_each (c, &flows->closed)
		put_iface(put_iface(set_add(inside, b->a, NONE), c->bridge), c->bridge);
	finish_set(b, inside);
	list_each (c, &flows->closed)
		if (c->internal) {
			internal = internal ? internal : new_set(b, "internal", FIELD_IFNAME);
			put_iface(set_add(internal, b->a, NONE), c->bridge);
		}
	if (internal)
		finish_set(b, internal);

	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_MARK_HAS, b->facts->mark_accept);
	add_term(b, rule, TERM_ACCEPT);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	add_term(b, rule, TERM_ACCEPT);
	close_to_borrowed(b, chain, "sources", LOAD_SADDR);
	close_to_borrowed(b, chain, "bridges", LOAD_IIFNAME);
	rule = add_rule(b, chain, 0, "published ports", NONE);
	add_term(b, rule, TERM_CT_STATUS_DNAT);
	add_term(b, rule, TERM_ACCEPT);
	close_one_way(b, chain, "closed", LOAD_OIFNAME);
	if (internal)
		close_one_way(b, chain, "internal", LOAD_IIFNAME);
}

/* What is admitted, looked up: goes on to the chain "admit", or comes back. */
static void build_lookups(struct builder *b, const char *name, const struct flows *flows,
			  const char *sets, enum way way)
{
	const char *translated = arena_printf(b->a, "%s_translated", name);
	struct chain *chain;

	if (flows->translations.n)
		build_forwarded(b, add_chain(b, translated, NULL, 0, 0), flows, sets, way);
	chain = add_chain(b, name, NULL, 0, 0);
	if (flows->translations.n) {
		struct rule *rule = add_rule(b, chain, 0, NULL, NONE);

		add_term(b, rule, TERM_CT_STATUS_DNAT);
		term_name(b, rule, TERM_JUMP, translated);
	}
	lookup_allows(b, chain, sets, way == WAY_BACK, TERM_GOTO, "admit", 0);
}

static void build_admit(struct builder *b)
{
	struct rule *rule = add_rule(b, add_chain(b, "admit", NULL, 0, 0), 0, NULL, NONE);
	struct term *t = add_term(b, rule, TERM_CT_MARK_SET);

	/* the other bit comes there where somebody saves the packet's mark before Docker's raw
	 * drops */
	t->number = b->facts->mark_accept;
	t->mask = b->facts->mark_accept | b->facts->mark_raw;
	term_number(b, rule, TERM_MARK_SET, b->facts->mark_accept);
}

static void build_fresh(struct builder *b, const struct flows *flows)
{
	struct chain *chain;
	struct rule *rule;

	build_lookups(b, "known", flows, "", WAY_NEW);
	chain = add_chain(b, "fresh", NULL, 0, 0);
	rule = add_rule(b, chain, 0, "a mark that others set", NONE);
	term_admitted(b, rule);
	add_term(b, rule, TERM_CT_MARK_SET)->mask = b->facts->mark_accept;
	refuse_borrowed(b, chain);
	term_name(b, add_rule(b, chain, 0, NULL, NONE), TERM_GOTO, "known");
}

/*
 * Established, and the mark does not say that it is ours. What was admitted once and is no more
 * lets no byte through, whoever else would.
 */
static void build_again(struct builder *b, const struct flows *flows, const char *sets)
{
	const char *ways[] = {b->counted ? "on" : "known", "back"}; /* by ct direction */
	struct chain *chain;
	struct rule *rule;
	struct term *t;

	if (b->counted)
		build_lookups(b, "on", flows, sets, WAY_ON);
	build_lookups(b, "back", flows, sets, WAY_BACK);
	chain = add_chain(b, "again", NULL, 0, 0);
	for (uint32_t direction = 0; direction < COUNT_OF(ways); direction++) {
		rule = add_rule(b, chain, 0, NULL, NONE);
		term_number(b, rule, TERM_CT_DIRECTION, direction);
		term_name(b, rule, TERM_JUMP, ways[direction]);
	}
	rule = add_rule(b, chain, 0, "revoked", NONE);
	t = add_term(b, rule, TERM_CT_MARK);
	t->number = facts_revoked_mark(b->facts);
	t->mask = UINT32_MAX;
	add_term(b, rule, TERM_DROP);
}

static void build_forward(struct builder *b, const struct flows *flows, const char *uncounted)
{
	enum term_kind on = flows->closed.n ? TERM_JUMP : TERM_GOTO;
	struct chain *chain;
	struct rule *rule;

	build_admit(b);
	build_fresh(b, flows);
	build_again(b, flows, uncounted);
	chain = add_chain(b, "forward", "filter", HOOK_FORWARD, BEFORE_FILTER);
	clear_marks(b, chain);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	term_admitted(b, rule);
	term_number(b, rule, TERM_MARK_SET, b->facts->mark_accept);
	add_term(b, rule, TERM_ACCEPT);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	term_name(b, rule, on, "again");
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	term_name(b, rule, on, "fresh");
	close_networks(b, chain, flows);
}

void program_host(struct ruleset *rs, struct arena *a, const struct flows *flows,
		  const struct facts *facts)
{
	struct builder b = {.rs = rs, .a = a, .facts = facts, .counted = flows->counted};
	const char *uncounted;
	struct chain *post;

	rs->exists = flows_matter(flows);
	if (!rs->exists)
		return;
	build_tied(&b, flows);
	build_bridges(&b, flows);
	build_allows(&b, flows);
	add_dnat_elements(&b, flows);
	add_forwarded(&b, flows);
	uncounted = build_uncounted(&b);
	if (facts->raw_drops)
		build_raw(&b, uncounted);
	build_forward(&b, flows, uncounted);
	if (flows->translations.n)
		build_dnat(&b, flows);
	post = add_chain(&b, "postrouting", "nat", HOOK_POSTROUTING, BEFORE_SRCNAT);
	masquerade_translated(&b, post, flows);
	masquerade_hairpins(&b, post, flows);
	keep_sources(&b, post);
	masquerade_policies(&b, post, flows);
}

void program_container(struct ruleset *rs, struct arena *a, const struct flows *flows,
		       const struct facts *facts)
{
	struct builder b = {.rs = rs,
			    .a = a,
			    .facts = facts,
			    .counted = flows->counted,
			    .keeps = facts->mark_accept};
	struct chain *post;

	rs->exists = flows->translations.n || flows->masquerades.n;
	if (!rs->exists)
		return;
	add_dnat_elements(&b, flows);
	add_translated(&b, flows);
	if (flows->translations.n)
		build_dnat(&b, flows);
	post = add_chain(&b, "postrouting", "nat", HOOK_POSTROUTING, BEFORE_SRCNAT);
	masquerade_translated(&b, post, flows);
	masquerade_policies(&b, post, flows);
}
