/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is translated on the way in, and whose source is hidden from the target. */
#include "core/program/parts.h"
#include "core/ruleset/sources.h"

/* Interface, protocol, port and nothing else: an element of a set. */
static bool is_plain(const struct translation *t)
{
	return t->iface && !t->from.ip.family && match_single_port(t->match);
}

static bool is_plain_of(const struct translation *t, uint8_t family)
{
	return is_plain(t) && t->to.family == family;
}

/* … whose target is the same for everybody: an element of a map. */
static bool is_mapped(const struct translation *t)
{
	return translation_rank(t) == RANK_MAP;
}

static bool is_mapped_of(const struct translation *t, uint8_t family)
{
	return is_mapped(t) && t->to.family == family;
}

/* A list is one rule, written for its first translation. */
static bool is_said(const struct flows *flows, const struct translation *t)
{
	const struct translation *before = t - 1;

	return t > flows->translations.items && t->list && t->list == before->list &&
	       t->origin == before->origin && t->masquerade == before->masquerade &&
	       t->match.proto == before->match.proto && t->match.low == before->match.low &&
	       t->match.high == before->match.high && ip_equal(t->to, before->to) &&
	       t->share.division == before->share.division && t->to_port == before->to_port;
}

/* term: of one prefix; load: of a list. */
static void term_source(struct builder *b, struct rule *rule, enum term_kind term, enum load load,
			const struct translation *t)
{
	if (t->list)
		term_in(b, rule, set_of_list(b, t->list, "from_", t->list_name), (uint8_t)load);
	else
		term_prefix(b, rule, term, t->from);
}

static uint16_t port_at_target(const struct translation *t)
{
	return t->to_port ? t->to_port : t->match.low;
}

static void add_dnat_map(struct builder *b, const struct flows *flows, uint8_t family)
{
	struct set map = {.name = name_of_family(b, "translations", family),
			  .counts =
				  b->counted && b->keeps, /* the host counts in its forward hook */
			  .key = {FIELD_IFNAME, FIELD_PROTO, FIELD_PORT},
			  .n_key = 3,
			  .data = {address_field(family), FIELD_PORT},
			  .n_data = 2};

	list_each (t, &flows->translations) {
		uint8_t *at;

		if (!is_mapped_of(t, family))
			continue;
		at = set_add(&map, b->a, t->origin);
		at = put_port(put_proto(put_iface(at, t->iface), t->match.proto), t->match.low);
		put_port(put_ip(at, t->to), port_at_target(t));
	}
	keep_set(b, &map);
}

void add_dnat_elements(struct builder *b, const struct flows *flows)
{
	each_family (family)
		add_dnat_map(b, flows, family);
}

static void add_translated_set(struct builder *b, const struct flows *flows, uint8_t family)
{
	struct set set = {.name = name_of_family(b, "translated", family),
			  .key = {FIELD_IFNAME, FIELD_PROTO, FIELD_PORT},
			  .n_key = 3};

	list_each (t, &flows->translations)
		if (is_mapped_of(t, family))
			put_port(put_proto(put_iface(set_add(&set, b->a, t->origin), t->iface),
					   t->match.proto),
				 t->match.low);
	keep_set(b, &set);
}

void add_translated(struct builder *b, const struct flows *flows)
{
	each_family (family)
		add_translated_set(b, flows, family);
}

static const char *translation_comment(struct builder *b, const struct translation *t)
{
	return arena_printf(b->a, "to %s", ip_format(t->to).s);
}

static void term_share(struct builder *b, struct rule *rule, struct share share)
{
	struct term *t;

	if (share.of <= 1)
		return;
	t = add_term(b, rule, TERM_SHARE);
	t->low = share.part;
	t->high = share.of;
	t->number = share_seed(share);
}

static void add_dnat_rule(struct builder *b, struct chain *chain, const struct translation *t)
{
	struct rule *rule = add_rule(b, chain, t->to.family, NULL, t->origin);
	const uint32_t keeps = t->own ? b->hooks->accept : b->keeps;
	struct term *dnat;

	if (t->iface)
		term_name(b, rule, TERM_IIFNAME, t->iface);
	add_term(b, rule, TERM_FIB_LOCAL);
	term_source(b, rule, TERM_SADDR, LOAD_SADDR, t);
	term_match(b, rule, t->match);
	term_share(b, rule, t->share);
	if (keeps) { /* the forward hook does neither: it is not on the way */
		term_count(b, rule);
		term_number(b, rule, TERM_CT_MARK_SET, keeps);
	}
	dnat = add_term(b, rule, TERM_DNAT);
	dnat->prefix = prefix_of(t->to);
	if (match_has_ports(t->match))
		dnat->low = dnat->high = t->to_port;
}

/* The map's keys once more: nft can't tell whether a key is in a map without translating. */
static void mark_translated(struct builder *b, struct chain *chain, uint8_t family)
{
	const char *set = name_of_family(b, "translated", family);
	struct rule *rule;

	if (!ruleset_find_set(b->rs, set))
		return;
	rule = add_rule(b, chain, family, "translated here", NONE);
	add_term(b, rule, TERM_FIB_LOCAL);
	term_in(b, rule, set, LOAD_IIFNAME, LOAD_PROTO, LOAD_DPORT);
	term_number(b, rule, TERM_CT_MARK_SET, b->keeps);
}

static void translate_by_map(struct builder *b, struct chain *chain, uint8_t family)
{
	const char *map = name_of_family(b, "translations", family);
	struct rule *rule;

	if (!ruleset_find_set(b->rs, map))
		return;
	rule = add_rule(b, chain, family, NULL, NONE);
	add_term(b, rule, TERM_FIB_LOCAL);
	term_lookup(b, rule, TERM_DNAT_MAP, map, LOAD_IIFNAME, LOAD_PROTO, LOAD_DPORT);
}

/* The most specific first: one source, a list, anybody. */
void build_dnat(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_base_chain(b, "prerouting", "nat", HOOK_PREROUTING, BEFORE_DNAT);

	list_each (t, &flows->translations)
		if (t->from.ip.family && !is_said(flows, t))
			add_dnat_rule(b, chain, t);
	each_family (family) {
		mark_translated(b, chain, family);
		translate_by_map(b, chain, family);
	}
	list_each (t, &flows->translations)
		if (!t->from.ip.family && !is_mapped(t))
			add_dnat_rule(b, chain, t);
}

/*
 * To an address that only this host or only one link has, with such a source: no target could
 * answer it. (route_localnet lets it try, but lets neighbours reach what listens on 127.0.0.1,
 * too.)
 */
static void spare_unroutable(struct builder *b, struct chain *chain)
{
	static const struct prefix nets[] = {
		{{4, {127}}, 8}, {{6, {[15] = 1}}, 128}, {{6, {0xfe, 0x80}}, 10}};

	for (size_t i = 0; i < COUNT_OF(nets); i++) {
		struct rule *rule;

		if (nets[i].ip.family == 6 && !b->ipv6)
			continue;
		rule = add_rule(b, chain, nets[i].ip.family, NULL, NONE);
		term_prefix(b, rule, TERM_DADDR, nets[i]);
		add_term(b, rule, TERM_RETURN);
	}
}

void build_own(struct builder *b, const struct flows *flows)
{
	struct chain *chain = add_base_chain(b, "output", "nat", HOOK_OUTPUT, BEFORE_DNAT);

	spare_unroutable(b, chain);
	list_each (t, &flows->own)
		add_dnat_rule(b, chain, t);
}

static const char *forwarded_name(struct builder *b, enum way way, uint8_t family)
{
	const char *prefix = ways[way_of_sets(b, way)].prefix;

	return name_of_family(b, arena_printf(b->a, "%sforwarded", prefix), family);
}

static void add_forwarded_set(struct builder *b, const struct flows *flows, enum way way,
			      uint8_t family)
{
	struct set set = {.name = forwarded_name(b, way, family),
			  .counts = way_counts(b, way),
			  .n_key = 4,
			  .key = {FIELD_IFNAME, address_field(family), FIELD_PROTO, FIELD_PORT}};

	list_each (t, &flows->translations) {
		uint8_t *at;

		if (!is_plain_of(t, family))
			continue;
		at = put_iface(set_add(&set, b->a, t->origin), t->iface);
		at = put_proto(put_ip(at, t->to), t->match.proto);
		put_port(at, port_at_target(t));
	}
	keep_set(b, &set);
}

void add_forwarded(struct builder *b, const struct flows *flows, enum way way)
{
	each_family (family)
		add_forwarded_set(b, flows, way, family);
}

static void add_forwarded_rule(struct builder *b, struct chain *chain, const struct translation *t,
			       enum way way)
{
	const struct way_words *w = &ways[way];
	struct rule *rule = add_rule(b, chain, t->to.family, translation_comment(b, t), t->origin);
	struct traffic match = t->match;

	if (t->iface)
		term_name(b, rule, w->interface_is, t->iface);
	term_source(b, rule, w->source_is, w->source, t);
	term_prefix(b, rule, w->destination_is, prefix_of(t->to));
	if (match_has_ports(match) && t->to_port)
		match.low = match.high = t->to_port;
	if (way == WAY_REPLY && match_has_types(match)) /* the answer has a type of its own */
		match = (struct traffic){match.proto, 0, UINT16_MAX};
	term_traffic(b, rule, w->port_is, match);
	if (w->counts)
		term_count(b, rule);
	term_name(b, rule, TERM_GOTO, w->translated);
}

/*
 * What a translation made of a packet that came in where ours do. The address alone would open the
 * direct way to the target; `ct status dnat` keeps that closed.
 */
void build_forwarded(struct builder *b, struct chain *chain, const struct flows *flows,
		     enum way way)
{
	const struct way_words *w = &ways[way];

	list_each (t, &flows->translations)
		if (!is_plain(t) && !is_said(flows, t) && !translation_repeats(t))
			add_forwarded_rule(b, chain, t, way);
	each_family (family) {
		const char *name = forwarded_name(b, way, family);
		struct rule *rule;

		if (!ruleset_find_set(b->rs, name))
			continue;
		rule = add_rule(b, chain, family, NULL, NONE);
		term_in(b, rule, name, (uint8_t)w->interface, (uint8_t)w->destination, LOAD_PROTO,
			(uint8_t)w->port);
		term_name(b, rule, TERM_GOTO, w->translated);
	}
}

/* --- sources that the target sees --- */

static void put_target(struct set *set, struct arena *a, const struct translation *t)
{
	uint8_t *at = put_proto(put_ip(set_add(set, a, t->origin), t->to), t->match.proto);

	put_port(at, port_at_target(t));
}

/*
 * Targets of translations that keep the source. Another port of the same target may be masqueraded.
 */
static struct set targets_that_see_sources(struct builder *b, const struct flows *flows,
					   uint8_t family)
{
	struct set set = {.n_key = 3, .key = {address_field(family), FIELD_PROTO, FIELD_PORT}};

	list_each (t, &flows->translations)
		if (!t->masquerade && match_single_port(t->match) && t->to.family == family)
			put_target(&set, b->a, t);
	set_finish(&set, b->a);
	return set;
}

static bool sees_source(struct builder *b, const struct set *targets, const struct translation *t)
{
	struct set one = {.n_key = 3,
			  .key = {address_field(t->to.family), FIELD_PROTO, FIELD_PORT}};

	if (!targets->n)
		return false;
	put_target(&one, b->a, t);
	return set_has(targets, one.elements);
}

/*
 * For what a translation led to its target; source: only from there. The verdict follows. Another
 * port of the host may lead to the same one of the target.
 */
static struct rule *add_translated_rule(struct builder *b, struct chain *chain,
					const struct translation *t, const struct prefix *source)
{
	struct rule *rule = add_rule(b, chain, t->to.family, NULL, t->origin);
	struct traffic match = t->match;

	add_term(b, rule, TERM_CT_STATUS_DNAT);
	if (t->own)
		add_term(b, rule, TERM_FIB_OWN);
	if (source)
		term_prefix(b, rule, TERM_SADDR, *source);
	term_prefix(b, rule, TERM_DADDR, prefix_of(t->to));
	if (match_has_ports(match) && t->to_port)
		match.low = match.high = t->to_port;
	term_match(b, rule, match);
	if (match_single_port(t->match) || (match_has_ports(t->match) && t->to_port)) {
		struct term *asked = add_term(b, rule, TERM_ORIGINAL_DPORT);

		asked->low = t->match.low;
		asked->high = match_single_port(t->match) ? 0 : t->match.high;
	}
	return rule;
}

/*
 * Whose source the target must see, although rules that follow would masquerade it for others'
 * sake: those of the same target, and those of its network.
 */
void keep_clients(struct builder *b, struct chain *chain, const struct flows *flows)
{
	const bool masquerades = flows_masquerade_some(flows);

	list_each (t, &flows->own)
		if (!t->masquerade && masquerades && !translation_repeats(t))
			add_term(b, add_translated_rule(b, chain, t, NULL), TERM_SNAT_SELF);
	list_each (t, &flows->translations) {
		const struct prefix *home = t->keeps ? flows_hairpin_of(flows, t) : NULL;

		if (home && !translation_repeats(t))
			add_term(b,
				 add_translated_rule(b, chain, t,
						     t->from.ip.family ? &t->from : home),
				 TERM_SNAT_SELF);
	}
}

static void masquerade_family(struct builder *b, struct chain *chain, const struct flows *flows,
			      uint8_t family)
{
	struct set set = {.name = name_of_family(b, "masqueraded", family),
			  .n_key = 3,
			  .key = {address_field(family), FIELD_PROTO, FIELD_PORT}};
	struct set targets = targets_that_see_sources(b, flows, family);

	list_each (t, &flows->own)
		if (t->masquerade && t->to.family == family && !translation_repeats(t))
			add_term(b, add_translated_rule(b, chain, t, NULL), TERM_MASQUERADE);
	list_each (t, &flows->translations) {
		if (!t->masquerade || t->to.family != family || is_said(flows, t) ||
		    translation_repeats(t))
			continue;
		if (match_single_port(t->match) && !sees_source(b, &targets, t))
			put_target(&set, b->a, t);
		else
			add_term(b, add_translated_rule(b, chain, t, NULL), TERM_MASQUERADE);
	}
	if (set.n) {
		struct rule *rule = add_rule(b, chain, family, NULL, NONE);

		stand_set(b, &set);
		add_term(b, rule, TERM_CT_STATUS_DNAT);
		term_in(b, rule, set.name, LOAD_DADDR, LOAD_PROTO, LOAD_DPORT);
		add_term(b, rule, TERM_MASQUERADE);
	}
}

void masquerade_translated(struct builder *b, struct chain *chain, const struct flows *flows)
{
	each_family (family)
		masquerade_family(b, chain, flows, family);
}

void masquerade_hairpins(struct builder *b, struct chain *chain, const struct flows *flows)
{
	list_each (subnet, &flows->hairpins) {
		struct rule *rule =
			add_rule(b, chain, subnet->ip.family, "back to its own network", NONE);

		add_term(b, rule, TERM_CT_STATUS_DNAT);
		term_admitted(b, rule);
		term_prefix(b, rule, TERM_SADDR, *subnet);
		term_prefix(b, rule, TERM_DADDR, *subnet);
		add_term(b, rule, TERM_MASQUERADE);
	}
}

static void masquerade_policy(struct builder *b, struct chain *chain, const struct masquerading *m,
			      uint32_t s, uint32_t d)
{
	struct rule *rule = add_rule(b, chain, m->family, NULL, m->origin);

	if (m->oface)
		term_name(b, rule, TERM_OIFNAME, m->oface);
	term_end(b, rule, TERM_SADDR, LOAD_SADDR, m->from, s, "from_", m->from_name);
	term_end(b, rule, TERM_DADDR, LOAD_DADDR, m->to, d, "list_", m->to_name);
	term_match(b, rule, m->match);
	term_count(b, rule);
	add_term(b, rule, TERM_MASQUERADE);
}

/*
 * Where br_netfilter is on, what containers of one network send each other comes by here, too, as
 * if it left by their bridge. No interface tells: the hook is not given where it came in.
 */
static void spare_neighbours(struct builder *b, struct chain *chain, const struct flows *flows)
{
	list_each (bound, &flows->bound) {
		struct rule *rule;

		if (!flows_masquerade_by(flows, bound))
			continue;
		rule = add_rule(b, chain, bound->subnet.ip.family, "within one network", NONE);
		term_name(b, rule, TERM_OIFNAME, bound->bridge);
		term_prefix(b, rule, TERM_SADDR, bound->subnet);
		add_term(b, rule, TERM_ACCEPT);
	}
}

void masquerade_policies(struct builder *b, struct chain *chain, const struct flows *flows)
{
	spare_neighbours(b, chain, flows);
	list_each (m, &flows->masquerades)
		for (uint32_t s = 0; s < n_end_rules(m->from); s++)
			for (uint32_t d = 0; d < n_end_rules(m->to); d++)
				masquerade_policy(b, chain, m, s, d);
}

/* Docker's own masquerading comes later and would hide who calls: a translation to itself wins. */
void keep_sources(struct builder *b, struct chain *chain)
{
	each_family (family) {
		const char *sources = name_of_family(b, "sources", family);
		struct rule *rule;

		if (!ruleset_find_set(b->rs, sources))
			continue;
		rule = add_rule(b, chain, family, "keep the source", NONE);
		term_admitted(b, rule);
		term_in(b, rule, sources, LOAD_SADDR);
		term_in(b, rule, sources, LOAD_DADDR);
		add_term(b, rule, TERM_SNAT_SELF);
	}
}
