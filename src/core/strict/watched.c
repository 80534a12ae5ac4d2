/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks with isolation audit: nothing is dropped. What gets in although strict would stop it is
 * reported behind everybody's filters.
 */
#include "core/strict/impl.h"

/* As of strict networks. */
#define WATCHED	       "watched"
#define WATCHED_ALONE  "watched_alone"
#define WATCHED_SERVED "watched_served"
#define BORROWED_INTO  "borrowed_into"

/* First packets of connections that lead to one of these bridges go on in another chain. */
static void hear_new(struct builder *b, struct chain *chain, const char *bridges,
		     enum term_kind verdict, const char *to)
{
	struct rule *rule = new_rule(b, chain);

	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	add_term(b, rule, TERM_CT_UNCONFIRMED);
	term_in(b, rule, bridges, LOAD_OIFNAME);
	term_name(b, rule, verdict, to);
}

static void build_reported(struct builder *b, const char *name, const char *prefix)
{
	log_in_shares(b, add_chain(b, name), prefix);
}

static void watch_forward(struct builder *b)
{
	struct chain *chain = add_chain(b, BORROWED_INTO);

	term_log(b, new_rule(b, chain), AUDIT_GROUP, LOG_AUDIT_BORROWED);
	chain = add_chain(b, "heard_into");
	/* no policy lets a borrowed source in, and nobody is to blame for it */
	end_borrowed(b, chain, TERM_GOTO, BORROWED_INTO);
	log_in_shares(b, chain, LOG_AUDIT_INTO);
	chain = add_base_chain(b, "watch_forward", "filter", HOOK_FORWARD, BEHIND_FILTER);
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
	build_reported(b, "heard_by_host", LOG_AUDIT_BY_HOST);
	chain = add_base_chain(b, "watch_output", "filter", HOOK_OUTPUT, BEHIND_FILTER);
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

	build_published(b, WATCHED_SERVED, &flows->watched);
	build_reported(b, "heard_served", LOG_AUDIT_SERVED);
	chain = add_base_chain(b, "watch_input", "filter", HOOK_INPUT, BEHIND_FILTER);
	rule = add_rule(b, chain, 0, "this host's own", NONE);
	term_name(b, rule, TERM_IIFNAME, "lo");
	add_term(b, rule, TERM_ACCEPT);
	rule = new_rule(b, chain);
	term_number(b, rule, TERM_CT_STATE, CT_NEW);
	add_term(b, rule, TERM_CT_UNCONFIRMED);
	term_in(b, rule, WATCHED_SERVED, LOAD_PROTO, LOAD_DPORT);
	term_name(b, rule, TERM_GOTO, "heard_served");
}

void build_watched(struct builder *b, const struct flows *flows)
{
	if (!flows->watched.n)
		return;
	build_bridge_sets(b, WATCHED, WATCHED_ALONE, &flows->watched);
	watch_forward(b);
	watch_output(b, flows);
	watch_input(b, flows);
}
