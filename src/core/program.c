/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet filter program: flows in, one nf_tables table out. What most policies are (addresses
 * and single ports) becomes elements of hashed sets and maps, so that a packet's cost does not
 * depend on their number; ranges go to interval sets; translations that are more than interface,
 * protocol and port become rules of their own.
 *
 * Marks carry the verdict: bits that arrive set are cleared, "accept" is set for what we admit, and
 * one rule in Docker's own chains accepts it there (edge/handoff.h). Admitted flows keep the accept
 * bit in their conntrack mark, so that established packets cost one comparison.
 */
#include "core/flows.h"
#include "core/layers.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { HOOK_PREROUTING = 0, HOOK_FORWARD = 2, HOOK_POSTROUTING = 4 };

/* Before Docker's dnat (-100), filter (0), srcnat (100), and before its raw drops (-300). */
enum { BEFORE_RAW = -310, BEFORE_DNAT = -110, BEFORE_FILTER = -10, BEFORE_SRCNAT = 90 };

/* Room to grow before a table has to be replaced: edits of a few elements never do. */
enum { SMALLEST_SET = 64 };

struct builder {
	struct ruleset *rs;
	struct arena *a;
	const struct facts *facts;
	struct layers layers; /* interval sets for what is no single address and port */
	bool counted;	      /* what lets connections through counts them */
	uint32_t keeps;	      /* bit of the connection mark for what is translated here; 0: none */
};

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
	return flows->allows.n || flows->translations.n || flows->masquerades.n || flows->closed.n;
}

static bool match_single_port(struct traffic match)
{
	return match_has_ports(match) && match.low == match.high;
}

/* --- rules, term by term --- */

static struct rule *add_rule(struct builder *b, struct chain *chain, uint8_t family,
			     const char *comment, uint32_t origin)
{
	struct rule *rule = list_add(b->a, &chain->rules);

	rule->family = family;
	rule->comment = comment;
	rule->origin = origin;
	return rule;
}

static struct term *term(struct builder *b, struct rule *rule, enum term_kind kind)
{
	struct term *t = list_add(b->a, &rule->terms);

	t->kind = kind;
	return t;
}

static void term_number(struct builder *b, struct rule *rule, enum term_kind kind, uint32_t number)
{
	term(b, rule, kind)->number = number;
}

static void term_name(struct builder *b, struct rule *rule, enum term_kind kind, const char *name)
{
	term(b, rule, kind)->name = name;
}

static void term_prefix(struct builder *b, struct rule *rule, enum term_kind kind,
			struct prefix prefix)
{
	if (prefix.ip.family && prefix.len)
		term(b, rule, kind)->prefix = prefix;
}

static void term_ports(struct builder *b, struct rule *rule, enum term_kind kind, uint16_t low,
		       uint16_t high)
{
	struct term *t;

	if (low == 0 && high == UINT16_MAX)
		return;
	t = term(b, rule, kind);
	t->low = low;
	t->high = high;
}

static void term_match(struct builder *b, struct rule *rule, struct traffic match)
{
	if (!match.proto)
		return;
	term_number(b, rule, TERM_PROTO, match.proto);
	term_ports(b, rule, TERM_DPORT, match.low, match.high);
}

static void count(struct builder *b, struct rule *rule)
{
	if (b->counted)
		term(b, rule, TERM_COUNTER);
}

#define term_lookup(b, rule, kind, set_name, ...)                                                  \
	add_lookup((b), (rule), (kind), (set_name), (const uint8_t[]){__VA_ARGS__},                \
		   COUNT_OF(((const uint8_t[]){__VA_ARGS__})))

static void add_lookup(struct builder *b, struct rule *rule, enum term_kind kind, const char *name,
		       const uint8_t *loads, size_t n)
{
	struct term *t = term(b, rule, kind);

	t->name = name;
	t->n_loads = (uint8_t)n;
	memcpy(t->loads, loads, n);
}

static struct chain *add_chain(struct builder *b, const char *name, const char *type, uint32_t hook,
			       int32_t priority)
{
	struct chain *chain = list_add(b->a, &b->rs->chains);

	*chain = (struct chain){.name = name, .type = type, .hook = hook, .priority = priority};
	return chain;
}

/* --- sets and their elements --- */

static struct set *add_set(struct builder *b, const char *name, const enum field *key, size_t n_key)
{
	struct set *set = list_add(b->a, &b->rs->sets);

	set->name = name;
	memcpy(set->key, key, n_key * sizeof(*key));
	set->n_key = (uint8_t)n_key;
	return set;
}

#define new_set(b, set_name, ...)                                                                  \
	add_set((b), (set_name), (const enum field[]){__VA_ARGS__},                                \
		COUNT_OF(((const enum field[]){__VA_ARGS__})))

static uint8_t *put_ip(uint8_t *at, struct ip ip)
{
	if (ip.family == 4) { /* of known size: no call */
		memcpy(at, ip.bytes, 4);
		return at + 4;
	}
	memcpy(at, ip.bytes, ip_bits(ip) / 8);
	return at + ip_bits(ip) / 8;
}

/* All of a record is written: it comes as it is. */
static uint8_t *put_proto(uint8_t *at, uint8_t proto)
{
	memcpy(at, (const uint8_t[4]){proto}, 4);
	return at + 4;
}

static uint8_t *put_port(uint8_t *at, uint16_t port)
{
	memcpy(at, (const uint8_t[4]){(uint8_t)(port >> 8), (uint8_t)port}, 4);
	return at + 4;
}

static uint8_t *put_iface(uint8_t *at, const char *iface)
{
	memset(at, 0, 16);
	snprintf((char *)at, 16, "%s", iface);
	return at + 16;
}

static void finish_set(struct builder *b, struct set *set)
{
	uint32_t room = SMALLEST_SET;

	set_finish(set, b->a);
	while (room < set->n + set->n / 4)
		room *= 2;
	set->size = room;
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

/*
 * Every packet of a flow is looked up before Docker's raw drops, in both directions: where elements
 * count new connections that is done in sets of their own.
 */
static const char *build_raw_allows(struct builder *b)
{
	uint32_t n = b->rs->sets.n;

	if (!b->counted)
		return "allow";
	for (uint32_t i = 0; i < n; i++) {
		struct set copy = b->rs->sets.items[i];

		if (strncmp(copy.name, "allow", 5) != 0)
			continue;
		copy.name = arena_printf(b->a, "raw_%s", copy.name);
		copy.counts = false;
		memcpy(list_add(b->a, &b->rs->sets), &copy, sizeof(copy));
	}
	return "raw_allow";
}

/* One rule per set of allowed flows: what it finds goes on to `verdict`. */
static void lookup_allows(struct builder *b, struct chain *chain, const char *sets, bool reply,
			  enum term_kind verdict, const char *target, uint32_t mark)
{
	uint8_t from = reply ? LOAD_DADDR : LOAD_SADDR, to = reply ? LOAD_SADDR : LOAD_DADDR;
	uint8_t port = reply ? LOAD_SPORT : LOAD_DPORT;

	list_each (set, &b->rs->sets) {
		struct rule *rule;

		if (strncmp(set->name, sets, strlen(sets)) != 0)
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

/* Nobody gets in by borrowing an address of a network that he is not on. */
static void refuse_borrowed(struct builder *b, struct chain *chain)
{
	struct rule *rule = add_rule(b, chain, 4, "a borrowed source address", NONE);

	term_lookup(b, rule, TERM_LOOKUP, "sources", LOAD_SADDR);
	term(b, rule, TERM_FIB_FOREIGN);
	term(b, rule, TERM_RETURN);
}

static void clear_marks(struct builder *b, struct chain *chain)
{
	struct rule *rule = add_rule(b, chain, 0, NULL, NONE);

	term_number(b, rule, TERM_MARK_CLEAR, b->facts->mark_accept | b->facts->mark_raw);
}

/* --- translations --- */

/* Interface, protocol, port and nothing else: an element of a map. */
static bool is_plain(const struct translation *t)
{
	return t->iface && !t->from.ip.family && match_single_port(t->match);
}

static uint16_t port_at_target(const struct translation *t)
{
	return t->to_port ? t->to_port : t->match.low;
}

static void add_dnat_elements(struct builder *b, const struct flows *flows)
{
	struct set map = {.name = "translations",
			  .counts = b->counted && b->keeps, /* the host's count when forwarded */
			  .key = {FIELD_IFNAME, FIELD_PROTO, FIELD_PORT},
			  .n_key = 3,
			  .data = {FIELD_IP4, FIELD_PORT},
			  .n_data = 2};

	list_each (t, &flows->translations) {
		uint8_t *at;

		if (!is_plain(t))
			continue;
		at = set_add(&map, b->a, t->origin);
		at = put_port(put_proto(put_iface(at, t->iface), t->match.proto), t->match.low);
		put_port(put_ip(at, t->to), port_at_target(t));
	}
	if (map.n)
		finish_set(b, memcpy(list_add(b->a, &b->rs->sets), &map, sizeof(map)));
}

static void add_translated(struct builder *b, const struct flows *flows)
{
	struct set set = {
		.name = "translated", .key = {FIELD_IFNAME, FIELD_PROTO, FIELD_PORT}, .n_key = 3};

	list_each (t, &flows->translations)
		if (is_plain(t))
			put_port(put_proto(put_iface(set_add(&set, b->a, t->origin), t->iface),
					   t->match.proto),
				 t->match.low);
	if (set.n)
		finish_set(b, memcpy(list_add(b->a, &b->rs->sets), &set, sizeof(set)));
}

static const char *translation_comment(struct builder *b, const struct translation *t)
{
	return arena_printf(b->a, "to %s", ip_format(t->to).s);
}

static void add_dnat_rule(struct builder *b, struct chain *chain, const struct translation *t)
{
	struct rule *rule = add_rule(b, chain, 4, NULL, t->origin);
	struct term *dnat;

	if (t->iface)
		term_name(b, rule, TERM_IIFNAME, t->iface);
	term(b, rule, TERM_FIB_LOCAL);
	term_prefix(b, rule, TERM_SADDR, t->from);
	term_match(b, rule, t->match);
	if (b->keeps) {
		count(b, rule);
		term_number(b, rule, TERM_CT_MARK_SET, b->keeps);
	}
	dnat = term(b, rule, TERM_DNAT);
	dnat->prefix = prefix_of(t->to);
	if (match_has_ports(t->match))
		dnat->low = dnat->high = t->to_port;
}

/* The map's keys once more: nft can't tell whether a key is in a map without translating. */
static void mark_translated(struct builder *b, struct chain *chain)
{
	struct rule *rule = add_rule(b, chain, 4, "translated here", NONE);

	term(b, rule, TERM_FIB_LOCAL);
	term_lookup(b, rule, TERM_LOOKUP, "translated", LOAD_IIFNAME, LOAD_PROTO, LOAD_DPORT);
	term_number(b, rule, TERM_CT_MARK_SET, b->keeps);
}

/* The narrowest first: one source, then anybody. */
static void build_dnat(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_chain(b, "prerouting", "nat", HOOK_PREROUTING, BEFORE_DNAT);

	list_each (t, &flows->translations)
		if (t->from.ip.family)
			add_dnat_rule(b, chain, t);
	if (ruleset_find_set(b->rs, "translated"))
		mark_translated(b, chain);
	if (ruleset_find_set(b->rs, "translations")) {
		struct rule *rule = add_rule(b, chain, 4, NULL, NONE);

		term(b, rule, TERM_FIB_LOCAL);
		term_lookup(b, rule, TERM_DNAT_MAP, "translations", LOAD_IIFNAME, LOAD_PROTO,
			    LOAD_DPORT);
	}
	list_each (t, &flows->translations)
		if (!t->from.ip.family && !is_plain(t))
			add_dnat_rule(b, chain, t);
}

/*
 * What a translation made of a packet that came in where ours do. The address alone would open the
 * direct way to the target; `ct status dnat` keeps that closed.
 */
static void build_forwarded(struct builder *b, struct chain *chain, const struct flows *flows)
{
	struct set set = {.name = "forwarded",
			  .counts = b->counted,
			  .n_key = 4,
			  .key = {FIELD_IFNAME, FIELD_IP4, FIELD_PROTO, FIELD_PORT}};

	list_each (t, &flows->translations) {
		struct traffic match = t->match;
		struct rule *rule;

		if (is_plain(t)) {
			uint8_t *at = put_iface(set_add(&set, b->a, t->origin), t->iface);

			at = put_proto(put_ip(at, t->to), match.proto);
			put_port(at, port_at_target(t));
			continue;
		}
		rule = add_rule(b, chain, 4, translation_comment(b, t), t->origin);
		term(b, rule, TERM_CT_STATUS_DNAT);
		if (t->iface)
			term_name(b, rule, TERM_IIFNAME, t->iface);
		term_prefix(b, rule, TERM_SADDR, t->from);
		term_prefix(b, rule, TERM_DADDR, prefix_of(t->to));
		if (match_has_ports(match) && t->to_port)
			match.low = match.high = t->to_port;
		term_match(b, rule, match);
		count(b, rule);
		term_name(b, rule, TERM_GOTO, "admit");
	}
	if (set.n) {
		struct rule *rule = add_rule(b, chain, 4, NULL, NONE);

		finish_set(b, memcpy(list_add(b->a, &b->rs->sets), &set, sizeof(set)));
		term(b, rule, TERM_CT_STATUS_DNAT);
		term_lookup(b, rule, TERM_LOOKUP, "forwarded", LOAD_IIFNAME, LOAD_DADDR, LOAD_PROTO,
			    LOAD_DPORT);
		term_name(b, rule, TERM_GOTO, "admit");
	}
}

/* --- sources that the target sees --- */

static void put_target(struct set *set, struct arena *a, const struct translation *t)
{
	uint8_t *at = put_proto(put_ip(set_add(set, a, t->origin), t->to), t->match.proto);

	put_port(at, port_at_target(t));
}

/* Where translations lead that keep the source: another port may lead there without keeping it. */
static struct set targets_that_see_sources(struct builder *b, const struct flows *flows)
{
	struct set set = {.n_key = 3, .key = {FIELD_IP4, FIELD_PROTO, FIELD_PORT}};

	list_each (t, &flows->translations)
		if (!t->masquerade && match_single_port(t->match))
			put_target(&set, b->a, t);
	set_finish(&set, b->a);
	return set;
}

static bool sees_source(struct builder *b, const struct set *targets, const struct translation *t)
{
	struct set one = {.n_key = 3, .key = {FIELD_IP4, FIELD_PROTO, FIELD_PORT}};

	if (!targets->n)
		return false;
	put_target(&one, b->a, t);
	return set_has(targets, one.elements);
}

static void masquerade_translated(struct builder *b, struct chain *chain, const struct flows *flows)
{
	struct set set = {
		.name = "masqueraded", .n_key = 3, .key = {FIELD_IP4, FIELD_PROTO, FIELD_PORT}};
	struct set targets = targets_that_see_sources(b, flows);

	list_each (t, &flows->translations) {
		struct traffic match = t->match;
		struct rule *rule;

		if (!t->masquerade)
			continue;
		if (match_single_port(match) && !sees_source(b, &targets, t)) {
			put_target(&set, b->a, t);
			continue;
		}
		rule = add_rule(b, chain, 4, NULL, t->origin);
		term(b, rule, TERM_CT_STATUS_DNAT);
		term_prefix(b, rule, TERM_DADDR, prefix_of(t->to));
		if (match_has_ports(match) && t->to_port)
			match.low = match.high = t->to_port;
		term_match(b, rule, match);
		if (match_single_port(t->match))
			term(b, rule, TERM_ORIGINAL_DPORT)->low = t->match.low;
		term(b, rule, TERM_MASQUERADE);
	}
	if (set.n) {
		struct rule *rule = add_rule(b, chain, 4, NULL, NONE);

		finish_set(b, memcpy(list_add(b->a, &b->rs->sets), &set, sizeof(set)));
		term(b, rule, TERM_CT_STATUS_DNAT);
		term_lookup(b, rule, TERM_LOOKUP, "masqueraded", LOAD_DADDR, LOAD_PROTO,
			    LOAD_DPORT);
		term(b, rule, TERM_MASQUERADE);
	}
}

static void masquerade_hairpins(struct builder *b, struct chain *chain, const struct flows *flows)
{
	list_each (subnet, &flows->hairpins) {
		struct rule *rule;

		if (subnet > flows->hairpins.items && prefix_compare(subnet[-1], *subnet) == 0)
			continue;
		rule = add_rule(b, chain, 4, "back to its own network", NONE);
		term(b, rule, TERM_CT_STATUS_DNAT);
		term_number(b, rule, TERM_CT_MARK_HAS, b->facts->mark_accept);
		term_prefix(b, rule, TERM_SADDR, *subnet);
		term_prefix(b, rule, TERM_DADDR, *subnet);
		term(b, rule, TERM_MASQUERADE);
	}
}

static void masquerade_policies(struct builder *b, struct chain *chain, const struct flows *flows)
{
	list_each (m, &flows->masquerades) {
		struct rule *rule = add_rule(b, chain, 4, NULL, m->origin);

		if (m->oface)
			term_name(b, rule, TERM_OIFNAME, m->oface);
		term_prefix(b, rule, TERM_SADDR, m->from);
		term_prefix(b, rule, TERM_DADDR, m->to);
		term_match(b, rule, m->match);
		count(b, rule);
		term(b, rule, TERM_MASQUERADE);
	}
}

/* Docker's own masquerading comes later and would hide who calls: a translation to itself wins. */
static void keep_sources(struct builder *b, struct chain *chain)
{
	struct rule *rule = add_rule(b, chain, 4, "keep the source", NONE);

	term_number(b, rule, TERM_CT_MARK_HAS, b->facts->mark_accept);
	term_lookup(b, rule, TERM_LOOKUP, "sources", LOAD_SADDR);
	term_lookup(b, rule, TERM_LOOKUP, "sources", LOAD_DADDR);
	term(b, rule, TERM_SNAT_SELF);
}

/* --- the tables --- */

static void build_raw(struct builder *b)
{
	struct chain *chain = add_chain(b, "raw", "filter", HOOK_PREROUTING, BEFORE_RAW);
	const char *sets = build_raw_allows(b);

	clear_marks(b, chain);
	refuse_borrowed(b, chain);
	lookup_allows(b, chain, sets, false, TERM_MARK_SET, NULL, b->facts->mark_raw);
	lookup_allows(b, chain, sets, true, TERM_MARK_SET, NULL, b->facts->mark_raw);
}

/* A source that is borrowed is not let in by a translation either. */
static void close_to_borrowed(struct builder *b, struct chain *chain)
{
	struct rule *rule = add_rule(b, chain, 4, "a borrowed source address", NONE);

	term_lookup(b, rule, TERM_LOOKUP, "sources", LOAD_SADDR);
	term(b, rule, TERM_FIB_FOREIGN);
	term_lookup(b, rule, TERM_LOOKUP, "closed", LOAD_OIFNAME);
	term_lookup(b, rule, TERM_LOOKUP_NOT, "inside", LOAD_IIFNAME, LOAD_OIFNAME);
	term(b, rule, TERM_DROP);
}

static void close_one_way(struct builder *b, struct chain *chain, const char *set, uint8_t load)
{
	struct rule *rule = add_rule(b, chain, 0, "nobody else closes this network", NONE);

	term_lookup(b, rule, TERM_LOOKUP, set, load);
	term_lookup(b, rule, TERM_LOOKUP_NOT, "inside", LOAD_IIFNAME, LOAD_OIFNAME);
	term(b, rule, TERM_DROP);
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
	term(b, rule, TERM_ACCEPT);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	term(b, rule, TERM_ACCEPT);
	close_to_borrowed(b, chain);
	rule = add_rule(b, chain, 0, "published ports", NONE);
	term(b, rule, TERM_CT_STATUS_DNAT);
	term(b, rule, TERM_ACCEPT);
	close_one_way(b, chain, "closed", LOAD_OIFNAME);
	if (internal)
		close_one_way(b, chain, "internal", LOAD_IIFNAME);
}

static void build_forward(struct builder *b, const struct flows *flows)
{
	uint32_t bit = b->facts->mark_accept;
	struct chain *admit, *fresh, *chain;
	struct rule *rule;

	admit = add_chain(b, "admit", NULL, 0, 0);
	rule = add_rule(b, admit, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_MARK_SET, bit);
	term_number(b, rule, TERM_MARK_SET, bit);

	fresh = add_chain(b, "fresh", NULL, 0, 0);
	refuse_borrowed(b, fresh);
	build_forwarded(b, fresh, flows);
	lookup_allows(b, fresh, "allow", false, TERM_GOTO, "admit", 0);

	chain = add_chain(b, "forward", "filter", HOOK_FORWARD, BEFORE_FILTER);
	clear_marks(b, chain);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	term_number(b, rule, TERM_CT_MARK_HAS, bit);
	term_number(b, rule, TERM_MARK_SET, bit);
	term(b, rule, TERM_ACCEPT);
	rule = add_rule(b, chain, 0, NULL, NONE);
	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	term_name(b, rule, flows->closed.n ? TERM_JUMP : TERM_GOTO, "fresh");
	close_networks(b, chain, flows);
}

void program_host(struct ruleset *rs, struct arena *a, const struct flows *flows,
		  const struct facts *facts)
{
	struct builder b = {.rs = rs, .a = a, .facts = facts, .counted = flows->counted};
	struct chain *post;

	rs->exists = flows_matter(flows);
	if (!rs->exists)
		return;
	build_tied(&b, flows);
	build_allows(&b, flows);
	add_dnat_elements(&b, flows);
	if (facts->raw_drops)
		build_raw(&b);
	build_forward(&b, flows);
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
