/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other people's rules are looked at for three things only: where they jump, whether they drop what
 * comes in by the wrong interface, and whether they are ours. Nothing else is parsed.
 */
#include "core/foreign/handoff.h"

#include "core/foreign/foreign.h"
#include "core/nft/message.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMENT	  OUR_MARKER " what table inet " TABLE_NAME " admits"
#define ISOLATION "DOCKER-ISOLATION-STAGE-1"

enum { PRIORITY_RAW = -300, PRIORITY_FILTER = 0 };

/* The chains that can hold a hand-off, and the base chains among them. */
static const struct {
	const char *table, *chain;
	bool base;
	uint32_t hook;
	int32_t priority;
} places[] = {
	{"filter", "DOCKER-USER", false, 0, 0},
	{"filter", "FORWARD", true, NF_INET_FORWARD, PRIORITY_FILTER},
	{"raw", "PREROUTING", true, NF_INET_PRE_ROUTING, PRIORITY_RAW},
};

/* Behind Docker's own rules DOCKER-USER is asked too late. */
static void note_jump(struct filter_view *view, const char *target)
{
	view->docker_user |= !strcmp(target, "DOCKER-USER");
	view->user_first |= !strcmp(target, "DOCKER-USER") && !view->docker_isolation;
	view->docker_isolation |= !strcmp(target, ISOLATION) || !strcmp(target, "DOCKER-FORWARD");
	view->drops_by_bridge |= !strcmp(target, "DOCKER-FORWARD");
	view->firewalld |= !strcmp(target, "FORWARD_ZONES");
}

/* Copy number `copy` of ours stands in a chain behind n rules of other people. */
static void note_ours(struct filter_view *view, struct arena *a, const struct handoff *found)
{
	list_each (h, &view->handoffs)
		if (!strcmp(h->table, found->table) && !strcmp(h->chain, found->chain)) {
			h->on_top = false; /* a second copy */
			return;
		}
	*list_add(a, &view->handoffs) = *found;
}

/* --- nf_tables --- */

static void view_chain_nft(struct filter_view *view, struct arena *a, const struct ruleset *rs,
			   size_t place)
{
	const struct chain *chain = ruleset_find_chain(rs, places[place].chain);
	uint32_t n = 0;

	if (!chain)
		return;
	list_each (rule, &chain->rules) {
		struct foreign_rule r = foreign_look_at(rule);

		if (r.ours)
			note_ours(view, a,
				  &(struct handoff){.variant = VARIANT_NFT,
						    .table = places[place].table,
						    .chain = places[place].chain,
						    .bits = r.compared,
						    .present = true,
						    .on_top = n == 0});
		else if (!strcmp(places[place].chain, "FORWARD") &&
			 (r.verdict == (uint32_t)NFT_JUMP || r.verdict == (uint32_t)NFT_GOTO))
			note_jump(view, r.target);
		else if (!strcmp(places[place].table, "raw"))
			view->raw_drops |= r.verdict == NF_DROP && r.not_from;
		n++;
	}
}

static void view_bridges_nft(struct filter_view *view, struct arena *a,
			     const struct ruleset *filter)
{
	const struct chain *from = ruleset_find_chain(filter, ISOLATION);
	const struct chain *to = ruleset_find_chain(filter, "DOCKER");

	if (from)
		list_each (rule, &from->rules) {
			struct foreign_rule r = foreign_look_at(rule);

			if (*r.in)
				*list_add(a, &view->from) = arena_strdup(a, r.in);
		}
	if (to)
		list_each (rule, &to->rules) {
			struct foreign_rule r = foreign_look_at(rule);

			if (*r.out && r.verdict == NF_DROP)
				*list_add(a, &view->to) = arena_strdup(a, r.out);
		}
}

void handoff_view_nft(struct filter_view *view, struct arena *a, const struct ruleset *filter,
		      const struct ruleset *raw)
{
	const struct chain *forward = ruleset_find_chain(filter, "FORWARD");

	*view = (struct filter_view){0};
	view->exists = forward != NULL;
	view->forward_drop = forward && forward->drops;
	for (size_t i = 0; i < COUNT_OF(places); i++)
		view_chain_nft(view, a, !strcmp(places[i].table, "raw") ? raw : filter, i);
	view_bridges_nft(view, a, filter);
	interfaces_sort(&view->from);
	interfaces_sort(&view->to);
	view->docker_user &= ruleset_find_chain(filter, "DOCKER-USER") != NULL;
}

static bool is_closed(const struct filter_view *view, const struct engine_network *network)
{
	if (view->drops_by_bridge && (network->internal || engine_network_is_open(network)))
		return true;
	if (view->drops_by_bridge)
		return interfaces_have(&view->to, network->bridge);
	return interfaces_have(&view->from, network->bridge);
}

const char *handoff_view_opens(const struct filter_view *view, const struct engine *engine,
			       struct arena *a)
{
	if (!engine->up && !view->docker_isolation)
		return "no Docker engine writes drops here";
	if (!view->docker_isolation)
		return "Docker's own drops do not stand (flushed, or --iptables=false); if they "
		       "should, restart dockerd";
	if (!view->drops_by_bridge && !view->forward_drop)
		return "the policy of FORWARD is ACCEPT (forwarding was on before Docker came)";
	list_each (network, &engine->networks)
		if (network->bridge && !is_closed(view, network))
			return arena_printf(a,
					    "Docker's drops leave out the bridge of network \"%s\" "
					    "(it forgets some when firewalld reloads); restart "
					    "dockerd",
					    network->name);
	return NULL;
}

/* meta mark & BITS == BITS counter accept: exactly what iptables-nft writes for -m mark. */
static struct ruleset our_rule(struct arena *a, uint32_t bits)
{
	struct ruleset rs = {0};
	struct chain *chain = list_add(a, &rs.chains);
	struct rule *rule = list_add(a, &chain->rules);

	*list_add(a, &rule->terms) = (struct term){.kind = TERM_MARK_HAS, .number = bits};
	*list_add(a, &rule->terms) = (struct term){.kind = TERM_COUNTER};
	*list_add(a, &rule->terms) = (struct term){.kind = TERM_ACCEPT};
	rule->comment = COMMENT;
	rule->origin = NONE;
	nft_encode_ruleset(&rs, a);
	return rs;
}

static void add_base_chain(struct nft_batch *batch, struct arena *a, const struct ruleset *table,
			   const struct handoff *handoff)
{
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		struct chain chain = {.name = places[i].chain,
				      .type = "filter",
				      .hook = places[i].hook,
				      .priority = places[i].priority};

		if (strcmp(places[i].table, handoff->table) != 0 ||
		    strcmp(places[i].chain, handoff->chain) != 0 || !places[i].base)
			continue;
		if (!table->exists)
			nft_add_table(batch, a);
		if (!ruleset_find_chain(table, chain.name))
			nft_add_chain(batch, a, &chain);
	}
}

void handoff_encode_nft(struct nft_batch *batch, struct arena *a, const struct ruleset *table,
			const struct handoff *handoff, bool put)
{
	const struct chain *chain = ruleset_find_chain(table, handoff->chain);
	const struct chain named = {.name = handoff->chain};
	struct ruleset ours = our_rule(a, handoff->bits);

	nft_batch_begin(batch, a, 1);
	batch->family = NFPROTO_IPV4;
	batch->table = handoff->table;
	if (put)
		add_base_chain(batch, a, table, handoff);
	if (chain)
		list_each (rule, &chain->rules)
			if (foreign_look_at(rule).ours)
				nft_delete_rule(batch, a, &named, rule);
	if (put)
		nft_add_rule(batch, a, &named, &ours.chains.items[0].rules.items[0], NFT_AT_TOP);
	nft_batch_end(batch, a);
}

/* --- iptables-save --- */

/* The next line; false at the end. *len is without the newline. */
static bool next_line(const char **text, const char **line, size_t *len)
{
	if (!**text)
		return false;
	*line = *text;
	*len = strcspn(*text, "\n");
	*text += *len + ((*text)[*len] == '\n');
	return true;
}

static bool starts(const char *line, size_t len, const char *head)
{
	return len >= strlen(head) && !memcmp(line, head, strlen(head));
}

static bool contains(const char *line, size_t len, const char *part)
{
	return memmem(line, len, part, strlen(part)) != NULL;
}

static bool line_is_ours(const char *line, size_t len)
{
	return contains(line, len, "--comment \"" OUR_MARKER);
}

/* What follows "-j " (or "-g "), to the next blank. */
static void line_target(char *target, size_t size, const char *line, size_t len)
{
	const char *at = memmem(line, len, " -j ", 4);
	size_t n;

	*target = '\0';
	if (!at)
		at = memmem(line, len, " -g ", 4);
	if (!at)
		return;
	at += 4;
	n = strcspn(at, " \n");
	snprintf(target, size, "%.*s", (int)(n < size ? n : size - 1), at);
}

static uint32_t line_bits(const char *line, size_t len)
{
	const char *at = memmem(line, len, "--mark ", 7);

	return at ? (uint32_t)strtoul(at + 7, NULL, 0) : 0;
}

static void view_line(struct filter_view *view, struct arena *a, size_t place, uint32_t n,
		      const char *line, size_t len)
{
	char target[64];

	line_target(target, sizeof(target), line, len);
	if (line_is_ours(line, len))
		note_ours(view, a,
			  &(struct handoff){.variant = VARIANT_LEGACY,
					    .table = places[place].table,
					    .chain = places[place].chain,
					    .bits = line_bits(line, len),
					    .present = true,
					    .on_top = n == 0});
	else if (!strcmp(places[place].chain, "FORWARD"))
		note_jump(view, target);
	else if (!strcmp(places[place].table, "raw"))
		view->raw_drops |= !strcmp(target, "DROP") && contains(line, len, " ! -i ");
}

static void view_chain_text(struct filter_view *view, struct arena *a, size_t place,
			    const char *text)
{
	char head[64];
	const char *line;
	uint32_t n = 0;
	size_t len;

	snprintf(head, sizeof(head), "-A %s ", places[place].chain);
	while (next_line(&text, &line, &len))
		if (starts(line, len, head))
			view_line(view, a, place, n++, line, len);
}

/* The interface behind an option, unless it is negated; NULL if there is none. */
static const char *line_interface(struct arena *a, const char *line, size_t len, const char *option)
{
	const char *at = memmem(line, len, option, strlen(option));

	if (!at || at[-1] == '!')
		return NULL;
	at += strlen(option);
	return arena_printf(a, "%.*s", (int)strcspn(at, " \n"), at);
}

static void view_bridges_text(struct filter_view *view, struct arena *a, const char *text)
{
	const char *line;
	size_t len;

	while (next_line(&text, &line, &len)) {
		const char *in = line_interface(a, line, len, " -i ");
		const char *out = line_interface(a, line, len, " -o ");

		if (in && starts(line, len, "-A " ISOLATION " "))
			*list_add(a, &view->from) = in;
		if (out && starts(line, len, "-A DOCKER ") && contains(line, len, " -j DROP"))
			*list_add(a, &view->to) = out;
	}
}

void handoff_view_text(struct filter_view *view, struct arena *a, const char *filter,
		       const char *raw)
{
	bool has_chain = false;
	const char *line, *rest = filter ? filter : "";
	size_t len;

	*view = (struct filter_view){0};
	while (next_line(&rest, &line, &len)) {
		view->exists |= starts(line, len, ":FORWARD ");
		view->forward_drop |= starts(line, len, ":FORWARD DROP");
		has_chain |= starts(line, len, ":DOCKER-USER ");
	}
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		const char *text = !strcmp(places[i].table, "raw") ? raw : filter;

		if (text)
			view_chain_text(view, a, i, text);
	}
	view_bridges_text(view, a, filter ? filter : "");
	interfaces_sort(&view->from);
	interfaces_sort(&view->to);
	view->docker_user &= has_chain;
}

void handoff_encode_text(struct buf *out, const char *save, const struct handoff *handoff, bool put)
{
	char head[64];
	const char *line;
	size_t len;

	buf_printf(out, "*%s\n", handoff->table);
	snprintf(head, sizeof(head), "-A %s ", handoff->chain);
	while (next_line(&save, &line, &len))
		if (starts(line, len, head) && line_is_ours(line, len))
			buf_printf(out, "-D%.*s\n", (int)(len - 2), line + 2);
	if (put)
		buf_printf(out,
			   "-I %s 1 -m mark --mark 0x%x/0x%x -m comment --comment \"" COMMENT
			   "\" -j ACCEPT\n",
			   handoff->chain, handoff->bits, handoff->bits);
	buf_puts(out, "COMMIT\n");
}
