/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet filter program: flows in, one nf_tables table out. What most policies are (addresses
 * and single ports) becomes elements of hashed sets and maps, so that a packet's cost does not
 * depend on their number; ranges go to interval sets; what names an interface, and translations
 * that are more than interface, protocol and port, become rules of their own.
 *
 * Marks carry the verdict: bits that arrive set are cleared, "accept" is set for what we admit, and
 * rules in Docker's own chains accept it there (edge/firewall/handoff.h). What containers say to
 * each other bears a second bit, for it is accepted before other people's rules, and what comes
 * from outside behind them. Admitted flows keep both bits in their conntrack mark, so that
 * established packets cost one comparison. Others write into that word, too: an established packet
 * without our bit is looked up like a new one.
 */
#include "core/program/program.h"

#include "core/program/groups.h"
#include "core/strict/strict.h"

#define FORTH                                                                                      \
	LOAD_SADDR, LOAD_DADDR, LOAD_DPORT, LOAD_IIFNAME, TERM_SADDR, TERM_DADDR, TERM_DPORT,      \
		TERM_IIFNAME
#define BACK                                                                                       \
	LOAD_DADDR, LOAD_SADDR, LOAD_SPORT, LOAD_OIFNAME, TERM_DADDR, TERM_SADDR, TERM_SPORT,      \
		TERM_OIFNAME

const struct way_words ways[] = {
	[WAY_NEW] = {"", SET_ALLOW, FORTH, true, ADMIT, ADMIT},
	[WAY_ON] = {"uncounted_", SET_UNCOUNTED, FORTH, false, ADMIT, ADMIT},
	[WAY_REPLY] = {"reply_", SET_OTHER, BACK, false, ADMIT, ADMIT},
	[WAY_LOG] = {"logged_", SET_LOGGED, FORTH, false, LOG_CHAIN, LOG_TRANSLATED_CHAIN},
	[WAY_OUT] = {"out_", SET_LIFTED, FORTH, true, LIFT, NULL},
};

/* --- what may pass --- */

/*
 * Elements count new connections; packets of old ones are looked up in sets of their own: all of
 * them before Docker's raw drops, in both directions, and those whose connection mark somebody
 * overwrote.
 */
static void add_uncounted(struct builder *b)
{
	uint32_t n = b->rs->sets.n;

	for (uint32_t i = 0; i < n; i++) {
		struct set copy = b->rs->sets.items[i];

		if (!copy.counts)
			continue;
		copy.name = arena_printf(b->a, "%s%s", ways[WAY_ON].prefix, copy.name);
		copy.role = copy.role == SET_ALLOW ? SET_UNCOUNTED : copy.role;
		copy.counts = false;
		*list_add(b->a, &b->rs->sets) = copy;
	}
}

static void build_bound(struct builder *b, const struct flows *flows, uint8_t family)
{
	struct set set = {.name = name_of_family(b, "sources", family),
			  .key = {address_field(family)},
			  .n_key = 1,
			  .interval = true};

	list_each (bound, &flows->bound)
		if (bound->subnet.ip.family == family)
			put_prefix(set_add(&set, b->a, NONE), bound->subnet);
	if (set.n || family == 4)
		stand_set(b, &set);
}

static void build_bridges(struct builder *b, const struct flows *flows)
{
	struct set set = {.name = "bridges", .key = {FIELD_IFNAME}, .n_key = 1};

	list_each (home, &flows->homes)
		put_iface(set_add(&set, b->a, NONE), home->bridge);
	keep_set(b, &set);
}

static void clear_marks(struct builder *b, struct chain *chain)
{
	struct rule *rule = new_rule(b, chain);

	term_number(b, rule, TERM_MARK_CLEAR, b->hooks->accept | b->hooks->raw);
}

/* --- the tables --- */

static void build_pass(struct builder *b)
{
	struct chain *chain = add_chain(b, "pass");
	struct rule *rule = new_rule(b, chain);

	term_number(b, rule, TERM_MARK_CLEAR, b->hooks->accept);
	term_number(b, rule, TERM_MARK_SET, b->hooks->raw);
}

/* What the chains of the forward hook admit only passes here. */
static void pass_admitted(struct builder *b, struct chain *chain)
{
	struct rule *rule = new_rule(b, chain);

	term_number(b, rule, TERM_MARK_HAS, b->hooks->accept);
	term_name(b, rule, TERM_GOTO, "pass");
}

/*
 * Errors come from any router on the way: no look-up finds their sources. That a path is too narrow
 * for a packet is told by nothing else. Conntrack says behind Docker's raw drops which of them
 * belong to a connection.
 */
static void pass_errors(struct builder *b, struct chain *chain)
{
	for (size_t i = 0; i < n_icmp_errors; i++) {
		const struct icmp_types *types = &icmp_errors[i];
		struct rule *rule;

		if (types->family == 6 && !b->ipv6)
			continue;
		rule = add_rule(b, chain, types->family, "errors of ICMP", NONE);
		term_icmp(b, rule, types);
		term_number(b, rule, TERM_MARK_SET, b->hooks->raw);
	}
}

static void build_raw(struct builder *b, const struct flows *flows, bool grouped)
{
	const enum way both[] = {b->counted ? WAY_ON : WAY_NEW, WAY_REPLY};
	static const char *const types[] = {"raw_types", "raw_back_types"};
	bool typed = false;
	struct chain *chain;

	build_pass(b);
	for (size_t i = 0; flows->types && i < COUNT_OF(both); i++)
		typed = build_types(b, types[i], &flows->grants, both[i], "pass");
	chain = add_base_chain(b, "raw", "filter", HOOK_PREROUTING, BEFORE_RAW);
	clear_marks(b, chain);
	pass_neighbours(b, chain, flows);
	pass_errors(b, chain);
	end_borrowed(b, chain, TERM_RETURN, NULL);
	for (size_t i = 0; i < COUNT_OF(both); i++)
		lookup_pairs(b, chain, both[i], "pass");
	for (size_t i = 0; typed && i < COUNT_OF(both); i++)
		lookup_types(b, chain, types[i]);
	for (size_t i = 0; grouped && i < COUNT_OF(both); i++) {
		dispatch_groups(b, chain, both[i]);
		pass_admitted(b, chain);
	}
}

/*
 * All our bits must be as given. Another program may have saved a packet's mark in the same word.
 */
static void change_ct_mark(struct builder *b, struct rule *rule, uint32_t bits)
{
	struct term *t = add_term(b, rule, TERM_CT_MARK_SET);

	t->number = bits;
	t->mask = b->hooks->accept | b->hooks->raw;
}

static void build_between(struct builder *b, const struct flows *flows)
{
	struct set *set = new_set(b, "between", FIELD_IFNAME);

	list_each (bridge, &flows->between)
		put_iface(set_add(set, b->a, NONE), *bridge);
	finish_set(b, set);
}

/* Of a flow that is admitted: the accept bit, and between containers the second one. */
static void build_admit(struct builder *b, const struct flows *flows)
{
	uint32_t accept = b->hooks->accept, second = b->hooks->between & ~accept;
	struct chain *admit = add_chain(b, ADMIT);
	struct rule *rule;

	/* two rules: before conntrack there is no mark of a connection, which ends a rule */
	term_number(b, new_rule(b, admit), TERM_MARK_SET, accept);
	change_ct_mark(b, new_rule(b, admit), accept);
	if (!second)
		return;
	build_between(b, flows);
	rule = add_rule(b, admit, 0, "between containers", NONE);
	term_in(b, rule, "between", LOAD_IIFNAME);
	term_in(b, rule, "between", LOAD_OIFNAME);
	change_ct_mark(b, rule, accept | second);
	term_number(b, rule, TERM_MARK_SET, second);
}

/* What is admitted, looked up: goes on to the chain "admit", or comes back. */
static void build_lookups(struct builder *b, const char *name, const struct flows *flows,
			  enum way way)
{
	const char *translated = arena_printf(b->a, "%s_translated", name),
		   *types = arena_printf(b->a, "%s_types", name);
	bool typed;
	struct chain *chain;

	if (flows->translations.n)
		build_forwarded(b, add_chain(b, translated), flows, way);
	typed = flows->types && build_types(b, types, &flows->grants, way, ways[way].target);
	chain = add_chain(b, name);
	if (flows->translations.n) {
		struct rule *rule = new_rule(b, chain);

		add_term(b, rule, TERM_CT_STATUS_DNAT);
		term_name(b, rule, TERM_JUMP, translated);
	}
	lookup_pairs(b, chain, way, ways[way].target);
	if (typed)
		lookup_types(b, chain, types);
	dispatch_groups(b, chain, way);
}

static void add_log_chain(struct builder *b, const char *name, const char *prefix)
{
	term_log(b, new_rule(b, add_chain(b, name)), LOG_GROUP, prefix);
}

/* What logged policies admit, looked up by itself: others have not one rule more for it. */
static void build_logged(struct builder *b, const struct flows *flows)
{
	struct flows logged = {.types = flows->types};
	grouped_list grouped = {0};
	bool to_host = false; /* these have rules of their own (egress.c) */

	list_each (grant, &flows->grants)
		if (grant->logged)
			*list_add(b->a, &logged.grants) = *grant;
	list_each (grant, &flows->lifts)
		if (grant->logged)
			*list_add(b->a, &logged.grants) = *grant;
	list_each (t, &flows->translations)
		if (t->logged)
			*list_add(b->a, &logged.translations) = *t;
	list_each (grant, &flows->to_host)
		to_host |= grant->logged;
	if (logged.grants.n || to_host)
		add_log_chain(b, LOG_CHAIN, LOG_ALLOWED);
	if (!logged.grants.n && !logged.translations.n)
		return;
	if (logged.translations.n)
		add_log_chain(b, LOG_TRANSLATED_CHAIN, LOG_TRANSLATED);
	build_pairs(b, &logged.grants, WAY_LOG, &grouped);
	add_forwarded(b, &logged, WAY_LOG);
	build_groups(b, &grouped, WAY_LOG);
	build_lookups(b, "logged", &logged, WAY_LOG);
}

static void build_fresh(struct builder *b, const struct flows *flows)
{
	struct chain *chain;
	struct rule *rule;

	build_lookups(b, "known", flows, WAY_NEW);
	chain = add_chain(b, "fresh");
	rule = add_rule(b, chain, 0, "a mark that others set", NONE);
	term_admitted(b, rule);
	change_ct_mark(b, rule, 0);
	refuse_undeclared(b, chain, flows);
	end_borrowed(b, chain, TERM_RETURN, NULL);
	if (ruleset_find_chain(b->rs, "logged")) {
		/* what nobody answers stays new: it is one connection nevertheless */
		rule = new_rule(b, chain);
		add_term(b, rule, TERM_CT_UNCONFIRMED);
		term_name(b, rule, TERM_JUMP, "logged");
	}
	term_name(b, new_rule(b, chain), TERM_GOTO, "known");
}

/*
 * Established, and the mark does not say that it is ours. What was admitted once and is no more
 * lets no byte through, whoever else would.
 */
static void build_again(struct builder *b, const struct flows *flows)
{
	const char *by_direction[] = {b->counted ? "on" : "known", "back"};
	struct chain *chain;
	struct rule *rule;

	if (b->counted)
		build_lookups(b, "on", flows, WAY_ON);
	build_lookups(b, "back", flows, WAY_REPLY);
	chain = add_chain(b, "again");
	for (uint32_t direction = 0; direction < COUNT_OF(by_direction); direction++) {
		rule = new_rule(b, chain);
		term_number(b, rule, TERM_CT_DIRECTION, direction);
		term_name(b, rule, TERM_JUMP, by_direction[direction]);
	}
	drop_revoked(b, chain);
}

/* Established connections that we admitted bear exactly these of our bits. */
static void follow(struct builder *b, struct chain *chain, uint32_t bits)
{
	struct rule *rule = new_rule(b, chain);

	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	term_ct_mark(b, rule, bits, b->hooks->accept | b->hooks->raw);
	term_number(b, rule, TERM_MARK_SET, bits);
	add_term(b, rule, TERM_ACCEPT);
}

static void build_forward(struct builder *b, const struct flows *flows)
{
	uint32_t accept = b->hooks->accept, between = b->hooks->between;
	bool closes = flows->closed.n || flows->closed6.n || flows->denied.n || flows->audited.n ||
		      flows->sealed.n;
	enum term_kind on = closes ? TERM_JUMP : TERM_GOTO;
	struct chain *chain;
	struct rule *rule;

	build_fresh(b, flows);
	build_again(b, flows);
	chain = add_base_chain(b, "forward", "filter", HOOK_FORWARD, BEFORE_FILTER);
	clear_marks(b, chain);
	if (between != accept)
		follow(b, chain, between);
	follow(b, chain, accept);
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_CT_STATE, CT_ESTABLISHED | CT_RELATED);
	term_name(b, rule, on, "again");
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	term_name(b, rule, on, "fresh");
	close_networks(b, chain, flows);
}

void program_host(struct ruleset *rs, struct arena *a, const struct flows *flows,
		  const struct hooks *hooks)
{
	struct builder b = {
		.rs = rs, .a = a, .hooks = hooks, .ipv6 = flows->ipv6, .counted = flows->counted};
	grouped_list grouped = {0};
	struct chain *post;

	rs->exists = flows_matter(flows);
	if (!rs->exists)
		return;
	build_bound(&b, flows, 4);
	build_bound(&b, flows, 6);
	build_bridges(&b, flows);
	build_pairs(&b, &flows->grants, WAY_NEW, &grouped);
	add_dnat_elements(&b, flows);
	add_forwarded(&b, flows, WAY_NEW);
	if (b.counted)
		add_uncounted(&b);
	build_admit(&b, flows);
	build_groups(&b, &grouped, WAY_NEW);
	if (b.counted)
		build_groups(&b, &grouped, WAY_ON);
	build_groups(&b, &grouped, WAY_REPLY);
	build_logged(&b, flows);
	if (hooks->raw_drops)
		build_raw(&b, flows, grouped.n);
	build_egress(&b, flows);
	build_strict(&b, flows);
	build_watched(&b, flows);
	build_forward(&b, flows);
	if (flows->translations.n)
		build_dnat(&b, flows);
	if (flows->own.n)
		build_own(&b, flows);
	post = add_base_chain(&b, "postrouting", "nat", HOOK_POSTROUTING, BEFORE_SRCNAT);
	keep_clients(&b, post, flows);
	masquerade_translated(&b, post, flows);
	masquerade_hairpins(&b, post, flows);
	keep_sources(&b, post);
	masquerade_policies(&b, post, flows);
	ruleset_index(rs, a);
}

void program_container(struct ruleset *rs, struct arena *a, const struct flows *flows,
		       const struct hooks *hooks)
{
	struct builder b = {.rs = rs,
			    .a = a,
			    .hooks = hooks,
			    .ipv6 = flows->ipv6,
			    .counted = flows->counted,
			    .keeps = hooks->accept};
	struct chain *post;

	rs->exists = flows->translations.n || flows->masquerades.n;
	if (!rs->exists)
		return;
	add_dnat_elements(&b, flows);
	add_translated(&b, flows);
	if (flows->translations.n)
		build_dnat(&b, flows);
	post = add_base_chain(&b, "postrouting", "nat", HOOK_POSTROUTING, BEFORE_SRCNAT);
	masquerade_translated(&b, post, flows);
	masquerade_policies(&b, post, flows);
}
