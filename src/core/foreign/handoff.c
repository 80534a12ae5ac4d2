/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other people's rules are looked at for three things only: where they jump, whether they drop what
 * comes in by the wrong interface, and whether they are ours. Nothing else is parsed.
 */
#include "core/foreign/handoff.h"

#include "base/hash.h"
#include "core/foreign/foreign.h"
#include "core/nft/message.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMENT	       OUR_MARKER " what table inet " TABLE_NAME " admits"
#define COMMENT_BEHIND COMMENT ", behind foreign rules"
#define ISOLATION      "DOCKER-ISOLATION-STAGE-1"

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

static const char *comment_of(bool behind)
{
	return behind ? COMMENT_BEHIND : COMMENT;
}

/* Behind Docker's own rules DOCKER-USER is asked too late. */
static void note_jump(struct filter_view *view, const char *target)
{
	view->docker_user |= !strcmp(target, "DOCKER-USER");
	view->user_first |= !strcmp(target, "DOCKER-USER") && !view->docker_isolation;
	view->docker_isolation |= !strcmp(target, ISOLATION) || !strcmp(target, "DOCKER-FORWARD");
	view->drops_by_bridge |= !strcmp(target, "DOCKER-FORWARD");
	view->firewalld |= !strcmp(target, "FORWARD_ZONES");
}

/* A walk over the rules of one chain. */
struct walk {
	struct filter_view *view;
	struct arena *a;
	enum variant variant;
	size_t place;	   /* in places[] */
	uint32_t n_before; /* foreign rules so far, and … */
	uint32_t n;	   /* … all rules but jumps to chains of ours */
	bool over;	   /* what follows is not reached, or Docker's own */
};

static struct handoff *find_ours(const struct walk *w, bool behind)
{
	list_each (h, &w->view->handoffs)
		if (!strcmp(h->table, places[w->place].table) &&
		    !strcmp(h->chain, places[w->place].chain) && h->behind == behind)
			return h;
	return NULL;
}

static void walk_over_ours(struct walk *w, bool behind, uint32_t bits)
{
	struct handoff *h = find_ours(w, behind);

	w->n++;
	if (h) {
		h->in_place = false; /* a second copy */
		return;
	}
	*list_add(w->a, &w->view->handoffs) =
		(struct handoff){.family = w->view->family,
				 .variant = w->variant,
				 .table = places[w->place].table,
				 .chain = places[w->place].chain,
				 .behind = behind,
				 .bits = bits,
				 .present = true,
				 .in_place = behind ? !w->over : !w->n_before};
}

/* The chain's first rule that ours must stand before in any case. */
static void walk_to_end(struct walk *w)
{
	uint32_t *end =
		!strcmp(places[w->place].table, "raw") ? &w->view->raw_end : &w->view->user_end;

	w->over = true;
	if (strcmp(places[w->place].chain, "FORWARD") != 0)
		*end = w->n;
}

static void walk_over_foreign(struct walk *w, bool ends, const char *target)
{
	struct handoff *behind = find_ours(w, true);

	if (ends && !w->over)
		walk_to_end(w);
	if (behind && !w->over)
		behind->in_place = false;
	w->n_before++;
	w->view->n_foreign++;
	w->n += strncmp(target, IPT_PREFIX, strlen(IPT_PREFIX)) != 0;
}

/* --- nf_tables --- */

/* Up to 27 Docker ends DOCKER-USER with a RETURN; from 28 on it appends its drops to raw
 * PREROUTING. */
static bool ends_nft(size_t place, const struct rule *rule)
{
	struct foreign_rule r = foreign_look_at(rule);

	if (!strcmp(places[place].table, "raw"))
		return r.verdict == NF_DROP && r.not_from;
	return foreign_is_bare(rule, (uint32_t)NFT_RETURN);
}

static void view_chain_nft(struct filter_view *view, struct arena *a, const struct ruleset *rs,
			   size_t place)
{
	const struct chain *chain = ruleset_find_chain(rs, places[place].chain);
	struct walk w = {.view = view, .a = a, .variant = VARIANT_NFT, .place = place};

	if (!chain)
		return;
	list_each (rule, &chain->rules) {
		struct foreign_rule r = foreign_look_at(rule);

		if (r.ours) {
			walk_over_ours(&w, !strcmp(r.ours, COMMENT_BEHIND), r.compared);
			continue;
		}
		walk_over_foreign(&w, ends_nft(place, rule), r.target);
		if (!strcmp(places[place].chain, "FORWARD") &&
		    (r.verdict == (uint32_t)NFT_JUMP || r.verdict == (uint32_t)NFT_GOTO))
			note_jump(view, r.target);
		else if (!strcmp(places[place].table, "raw"))
			view->raw_drops |= w.over;
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

/* Docker's own chains are left out, and may be long. */
static void add_plain(plain_chains *chains, struct arena *a, const struct ruleset *table,
		      uint8_t family)
{
	list_each (chain, &table->chains)
		if (strncmp(chain->name, "DOCKER", 6) != 0 || !strcmp(chain->name, "DOCKER-USER"))
			plain_of_chain(chains, a, chain, family);
}

static void view_walls_nft(struct filter_view *view, struct arena *a, const struct ruleset *filter,
			   const struct ruleset *raw)
{
	plain_chains of_filter = {0}, of_raw = {0};

	add_plain(&of_filter, a, filter, nfproto(view->family));
	add_plain(&of_raw, a, raw, nfproto(view->family));
	walls_before_ours(&view->walls, VARIANT_NFT, view->family, &of_filter, &of_raw, a);
}

void handoff_view_nft(struct filter_view *view, struct arena *a, uint8_t family,
		      const struct ruleset *filter, const struct ruleset *raw)
{
	const struct chain *forward = ruleset_find_chain(filter, "FORWARD");

	*view = (struct filter_view){
		.family = family, .user_end = NONE, .raw_end = NONE, .save = "", .save_raw = ""};
	view->exists = forward != NULL;
	view->forward_drop = forward && forward->drops;
	for (size_t i = 0; i < COUNT_OF(places); i++)
		view_chain_nft(view, a, !strcmp(places[i].table, "raw") ? raw : filter, i);
	view_bridges_nft(view, a, filter);
	view_walls_nft(view, a, filter, raw);
	interfaces_sort(&view->from);
	interfaces_sort(&view->to);
	view->docker_user &= ruleset_find_chain(filter, "DOCKER-USER") != NULL;
}

static bool is_closed(const struct filter_view *view, const struct engine_network *network)
{
	const char *mode = view->family == 6 ? GATEWAY_MODE6 : GATEWAY_MODE;

	if (view->drops_by_bridge &&
	    (network->internal || gateway_mode_is_open(engine_network_option(network, mode))))
		return true;
	if (view->drops_by_bridge)
		return interfaces_have(&view->to, network->bridge);
	return interfaces_have(&view->from, network->bridge);
}

static const char *network_left_out(const struct filter_view *view, const struct engine *engine,
				    struct arena *a)
{
	list_each (network, &engine->networks)
		if (network->bridge && (view->family == 4 || network->ipv6) &&
		    !is_closed(view, network))
			return arena_printf(
				a,
				"Docker's drops leave out the bridge of network \"%s\" (it forgets "
				"some when firewalld reloads); restart dockerd",
				network->name);
	return NULL;
}

const char *handoff_view_opens_ipv6(const struct filter_view *view, const struct engine *engine,
				    struct arena *a)
{
	if (!view->docker_isolation && engine->major >= FIRST_WITH_IP6TABLES)
		return "Docker's own drops of IPv6 do not stand (flushed, or --ip6tables=false); "
		       "if they should, restart dockerd";
	if (!view->docker_isolation)
		return "Docker writes no rules of IPv6 here (before 27 only with --ip6tables)";
	if (!view->drops_by_bridge && !view->forward_drop)
		return "the policy of FORWARD in ip6tables is ACCEPT";
	return network_left_out(view, engine, a);
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
	return network_left_out(view, engine, a);
}

/* meta mark & BITS == BITS counter accept: exactly what iptables-nft writes for -m mark. */
static struct ruleset our_rule(struct arena *a, const struct handoff *handoff)
{
	struct ruleset rs = {0};
	struct chain *chain = list_add(a, &rs.chains);
	struct rule *rule = list_add(a, &chain->rules);

	*list_add(a, &rule->terms) = (struct term){.kind = TERM_MARK_HAS, .number = handoff->bits};
	*list_add(a, &rule->terms) = (struct term){.kind = TERM_COUNTER};
	*list_add(a, &rule->terms) = (struct term){.kind = TERM_ACCEPT};
	rule->comment = comment_of(handoff->behind);
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

static size_t place_of(const struct handoff *handoff)
{
	size_t i = 0;

	while (i + 1 < COUNT_OF(places) && (strcmp(places[i].table, handoff->table) != 0 ||
					    strcmp(places[i].chain, handoff->chain) != 0))
		i++;
	return i;
}

/* The rule to stand before. */
static uint64_t position_nft(const struct chain *chain, const struct handoff *handoff)
{
	if (!handoff->behind)
		return NFT_AT_TOP;
	if (chain)
		list_each (rule, &chain->rules)
			if (!foreign_look_at(rule).ours && ends_nft(place_of(handoff), rule))
				return rule->handle;
	return NFT_AT_END;
}

void handoff_encode_nft(struct nft_batch *batch, struct arena *a, const struct ruleset *table,
			const struct handoff *handoff, bool put)
{
	const struct chain *chain = ruleset_find_chain(table, handoff->chain);
	const struct chain named = {.name = handoff->chain};
	struct ruleset ours = our_rule(a, handoff);

	nft_batch_begin(batch, a, 1);
	batch->family = nfproto(handoff->family);
	batch->table = handoff->table;
	if (put)
		add_base_chain(batch, a, table, handoff);
	if (chain)
		list_each (rule, &chain->rules) {
			const char *comment = foreign_look_at(rule).ours;

			if (comment && !strcmp(comment, COMMENT_BEHIND) == handoff->behind)
				nft_delete_rule(batch, a, &named, rule);
		}
	if (put)
		nft_add_rule(batch, a, &named, &ours.chains.items[0].rules.items[0],
			     position_nft(chain, handoff));
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

static bool line_is_behind(const char *line, size_t len)
{
	return contains(line, len, "--comment \"" COMMENT_BEHIND "\"");
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

bool handoff_line_ends(const char *table, const char *line, size_t len)
{
	AUTO_RELEASE struct arena a = {0};
	const char *chain;
	char target[64];
	struct plain p;

	line_target(target, sizeof(target), line, len);
	if (!strcmp(table, "raw"))
		return !strcmp(target, "DROP") && contains(line, len, " ! -i ");
	return !strcmp(target, "RETURN") && plain_parse(&p, &chain, &a, line, len) &&
	       plain_matches_everything(&p);
}

/* In the lines of chains numbers stand that count packets. */
uint64_t handoff_hash_text(const char *save)
{
	uint64_t hash = HASH_START;
	const char *line;
	size_t len;

	while (next_line(&save, &line, &len)) {
		const char *counters = *line == ':' ? memchr(line, '[', len) : NULL;

		if (*line != '#')
			hash = hash_more(hash, line, counters ? (size_t)(counters - line) : len);
	}
	return hash;
}

static void view_line(struct walk *w, const char *line, size_t len)
{
	char target[64];

	if (line_is_ours(line, len)) {
		walk_over_ours(w, line_is_behind(line, len), line_bits(line, len));
		return;
	}
	line_target(target, sizeof(target), line, len);
	walk_over_foreign(w, handoff_line_ends(places[w->place].table, line, len), target);
	if (!strcmp(places[w->place].chain, "FORWARD"))
		note_jump(w->view, target);
	else if (!strcmp(places[w->place].table, "raw"))
		w->view->raw_drops |= w->over;
}

static void view_chain_text(struct filter_view *view, struct arena *a, size_t place,
			    const char *text)
{
	struct walk w = {.view = view, .a = a, .variant = VARIANT_LEGACY, .place = place};
	char head[64];
	const char *line;
	size_t len;

	snprintf(head, sizeof(head), "-A %s ", places[place].chain);
	while (next_line(&text, &line, &len))
		if (starts(line, len, head))
			view_line(&w, line, len);
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

void handoff_view_text(struct filter_view *view, struct arena *a, uint8_t family,
		       const char *filter, const char *raw)
{
	bool has_chain = false;
	const char *line, *rest = filter ? filter : "";
	size_t len;

	*view = (struct filter_view){.family = family,
				     .user_end = NONE,
				     .raw_end = NONE,
				     .save = arena_strdup(a, filter ? filter : ""),
				     .save_raw = arena_strdup(a, raw ? raw : "")};
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

/* Deletes our copies; the number that ours is to have then, counted from 1; 0: the last. */
static uint32_t clear_text(struct buf *out, const char *save, const struct handoff *handoff)
{
	uint32_t n = 0, number = 0;
	char head[64];
	const char *line;
	size_t len;

	snprintf(head, sizeof(head), "-A %s ", handoff->chain);
	while (next_line(&save, &line, &len)) {
		bool ours = starts(line, len, head) && line_is_ours(line, len);

		if (!starts(line, len, head))
			continue;
		if (ours && line_is_behind(line, len) == handoff->behind) {
			buf_printf(out, "-D%.*s\n", (int)(len - 2), line + 2);
			continue;
		}
		n++;
		if (!number && !ours && handoff_line_ends(handoff->table, line, len))
			number = n;
	}
	return handoff->behind ? number : 1;
}

void handoff_encode_text(struct buf *out, const char *save, const struct handoff *handoff, bool put)
{
	uint32_t number;

	buf_printf(out, "*%s\n", handoff->table);
	number = clear_text(out, save, handoff);
	if (put && number)
		buf_printf(out, "-I %s %u", handoff->chain, number);
	else if (put)
		buf_printf(out, "-A %s", handoff->chain);
	if (put)
		buf_printf(out, " -m mark --mark 0x%x/0x%x -m comment --comment \"%s\" -j ACCEPT\n",
			   handoff->bits, handoff->bits, comment_of(handoff->behind));
	buf_puts(out, "COMMIT\n");
}
