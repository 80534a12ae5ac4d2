/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/iptables/iptables.h"

#include "core/foreign/handoff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tables[] = {"raw", "nat", "filter"};

static uint32_t hash_of(const char *text)
{
	uint32_t hash = 0x811c9dc5; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x01000193;
	return hash;
}

void ipt_add_rule(struct ipt_chain *chain, struct arena *a, uint32_t origin, const char *format,
		  ...)
{
	struct ipt_rule *rule = list_add(a, &chain->rules);
	va_list args;

	va_start(args, format);
	rule->text = arena_vprintf(a, format, args);
	va_end(args);
	rule->hash = hash_of(rule->text);
	rule->origin = origin;
}

/* Which of the four tools reads and writes a chain. */
struct tool {
	enum variant variant;
	uint8_t family;
};

static bool is_of(const struct ipt_chain *chain, struct tool tool)
{
	return chain->variant == tool.variant && chain->family == tool.family;
}

static bool in(const struct ipt_chain *chain, struct tool tool, const char *table)
{
	return is_of(chain, tool) && !strcmp(chain->table, table);
}

bool ipt_has(const ipt_chains *chains, enum variant variant, uint8_t family)
{
	list_each (chain, chains)
		if (is_of(chain, (struct tool){variant, family}))
			return true;
	return false;
}

/* --- reading --- */

struct line {
	const char *at;
	size_t len;
};

static bool next_line(const char **rest, struct line *line)
{
	if (!**rest)
		return false;
	line->at = *rest;
	line->len = strcspn(*rest, "\n");
	*rest += line->len + ((*rest)[line->len] == '\n');
	return true;
}

static bool starts(struct line line, const char *head)
{
	return line.len >= strlen(head) && !memcmp(line.at, head, strlen(head));
}

/* The word after `before`; NULL if the line has no such option. */
static const char *word_behind(struct arena *a, struct line line, const char *before)
{
	const char *at = memmem(line.at, line.len, before, strlen(before));

	if (!at)
		return NULL;
	at += strlen(before);
	return arena_printf(a, "%.*s", (int)strcspn(at, " \n"), at);
}

static struct ipt_chain *find(const ipt_chains *chains, struct tool tool, const char *table,
			      const char *name)
{
	list_each (chain, chains)
		if (in(chain, tool, table) && !strcmp(chain->name, name))
			return chain;
	return NULL;
}

static bool is_ours(const char *chain)
{
	return !strncmp(chain, IPT_PREFIX, strlen(IPT_PREFIX));
}

uint32_t ipt_hash_of_line(const char *line)
{
	static const char before[] = "--comment \"" OUR_MARKER;
	const char *at = memmem(line, strcspn(line, "\n"), before, strlen(before));

	return at ? (uint32_t)strtoul(at + strlen(before), NULL, 16) : 0;
}

/* A rule of ours, or one that somebody put among them; the hash of that one can't be right. */
static void take_own_rule(struct ipt_chain *chain, struct arena *a, struct line line)
{
	*list_add(a, &chain->rules) =
		(struct ipt_rule){.text = arena_printf(a, "%.*s", (int)line.len, line.at),
				  .hash = ipt_hash_of_line(line.at),
				  .origin = NONE};
}

/* State while the rules of a foreign chain are read. */
struct walk {
	const ipt_chains *chains;
	struct tool tool;
	const char *table, *parent;
	uint32_t n; /* number of rules so far */
	bool over;  /* the rest is unreachable, or Docker's own */
};

static void walk_over_foreign(struct walk *w, struct line line)
{
	w->over |= handoff_line_ends(w->table, line.at, line.len);
	if (w->over)
		return;
	list_each (chain, w->chains)
		if (in(chain, w->tool, w->table) && chain->parent &&
		    !strcmp(chain->parent, w->parent))
			chain->last = false;
}

static void walk_over(struct walk *w, struct arena *a, struct line line)
{
	const char *target = word_behind(a, line, " -j ");
	struct ipt_chain *chain = NULL;

	if (target && is_ours(target))
		chain = find(w->chains, w->tool, w->table, target);
	if (chain) {
		chain->parent = w->parent;
		chain->n_jumps++;
		chain->on_top |= w->n == 0;
		chain->last = !w->over;
	} else {
		walk_over_foreign(w, line);
	}
	w->n++;
}

void ipt_decode(ipt_chains *chains, struct arena *a, enum variant variant, uint8_t family,
		const char *save)
{
	struct walk w = {.chains = chains, .tool = {variant, family}, .table = "", .parent = ""};
	struct line line;

	while (next_line(&save, &line)) {
		if (starts(line, "*")) {
			w.table = arena_printf(a, "%.*s", (int)line.len - 1, line.at + 1);
			w.parent = "";
		} else if (starts(line, ":" IPT_PREFIX)) {
			*list_add(a, chains) = (struct ipt_chain){
				.variant = variant,
				.family = family,
				.table = w.table,
				.name = word_behind(a, line, ":"),
			};
		} else if (starts(line, "-A ")) {
			const char *name = word_behind(a, line, "-A ");
			struct ipt_chain *own = find(chains, w.tool, w.table, name);

			if (strcmp(name, w.parent) != 0) {
				w.parent = name;
				w.n = 0;
				w.over = false;
			}
			if (own)
				take_own_rule(own, a, line);
			else
				walk_over(&w, a, line);
		}
	}
}

/* --- writing --- */

static void print_rule(struct buf *out, const struct ipt_chain *chain, const struct ipt_rule *rule)
{
	const char *verdict = strstr(rule->text, "-j ");

	verdict = verdict ? verdict : strstr(rule->text, "-g ");
	/* the comment stands before the verdict, as iptables-save prints it */
	buf_printf(out, "-A %s %.*s-m comment --comment \"" OUR_MARKER "%08x", chain->name,
		   (int)(verdict - rule->text), rule->text, rule->hash);
	if (rule->origin != NONE)
		buf_printf(out, " policies[%u]", rule->origin);
	buf_printf(out, "\" %s\n", verdict);
}

static bool same_rules(const struct ipt_chain *a, const struct ipt_chain *b)
{
	if (a->rules.n != b->rules.n)
		return false;
	for (uint32_t i = 0; i < a->rules.n; i++)
		if (a->rules.items[i].hash != b->rules.items[i].hash)
			return false;
	return true;
}

static bool same_jump(const struct ipt_chain *want, const struct ipt_chain *have)
{
	if (!want->parent)
		return !have->n_jumps;
	return have->n_jumps == 1 && (want->behind ? have->last : have->on_top) &&
	       !strcmp(want->parent, have->parent);
}

/* ":CHAIN -" creates a chain, or empties an existing one. */
static void declare(struct buf *out, struct ipt_changes *changes, const struct ipt_chain *want,
		    const struct ipt_chain *have)
{
	if (have && same_rules(want, have))
		return;
	buf_printf(out, ":%s - [0:0]\n", want->name);
	changes->added += !have;
	changes->rewritten += have != NULL;
}

static void unjump(struct buf *out, const struct ipt_chain *have)
{
	for (uint32_t i = 0; i < have->n_jumps; i++)
		buf_printf(out, "-D %s -j %s\n", have->parent, have->name);
}

/* Our chains at the top already exist then. */
static uint32_t number_behind(const ipt_chains *want, const struct ipt_chain *chain)
{
	uint32_t number = chain->n_before + 1;

	list_each (w, want)
		number += in(w, (struct tool){chain->variant, chain->family}, chain->table) &&
			  w->parent && !w->behind && !strcmp(w->parent, chain->parent);
	return number;
}

static void jump(struct buf *out, const ipt_chains *want, const struct ipt_chain *chain)
{
	if (chain->behind && chain->n_before == NONE)
		buf_printf(out, "-A %s -j %s\n", chain->parent, chain->name);
	else
		buf_printf(out, "-I %s %u -j %s\n", chain->parent,
			   chain->behind ? number_behind(want, chain) : 1, chain->name);
}

static void rejump(struct buf *out, struct ipt_changes *changes, const ipt_chains *wanted,
		   const struct ipt_chain *want, const struct ipt_chain *have)
{
	if (have && same_jump(want, have))
		return;
	if (have)
		unjump(out, have);
	if (want->parent)
		jump(out, wanted, want);
	if (!have || !same_rules(want, have))
		return;
	changes->moved += have->n_jumps && want->parent;
	changes->rewritten += !have->n_jumps || !want->parent;
}

static void diff_table(struct buf *out, struct ipt_changes *changes, struct tool tool,
		       const char *table, const ipt_chains *want, const ipt_chains *have)
{
	list_each (w, want)
		if (in(w, tool, table))
			declare(out, changes, w, find(have, tool, table, w->name));
	list_each (w, want) {
		const struct ipt_chain *h;

		if (!in(w, tool, table))
			continue;
		h = find(have, tool, table, w->name);
		if (h && same_rules(w, h))
			continue;
		list_each (rule, &w->rules)
			print_rule(out, w, rule);
	}
	list_each (w, want)
		if (in(w, tool, table))
			rejump(out, changes, want, w, find(have, tool, table, w->name));
	list_each (h, have)
		if (in(h, tool, table) && !find(want, tool, table, h->name)) {
			unjump(out, h);
			buf_printf(out, "-F %s\n", h->name);
		}
	list_each (h, have)
		if (in(h, tool, table) && !find(want, tool, table, h->name)) {
			buf_printf(out, "-X %s\n", h->name);
			changes->removed++;
		}
}

void ipt_diff(struct buf *out, struct ipt_changes *changes, enum variant variant, uint8_t family,
	      const ipt_chains *want, const ipt_chains *have)
{
	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		size_t start = out->len, body;

		buf_printf(out, "*%s\n", tables[i]);
		body = out->len;
		diff_table(out, changes, (struct tool){variant, family}, tables[i], want, have);
		if (out->len == body)
			buf_cut(out, start);
		else
			buf_puts(out, "COMMIT\n");
	}
}

void ipt_print(struct buf *out, const ipt_chains *chains)
{
	static const ipt_chains nothing;

	each_family (family) {
		struct ipt_changes changes = {0};

		for (enum variant v = VARIANT_NFT; v <= VARIANT_LEGACY; v++) {
			if (family == 6 && ipt_has(chains, v, family))
				buf_printf(out, "# for %s-restore\n", variant_tool(v, family));
			ipt_diff(out, &changes, v, family, chains, &nothing);
		}
	}
}
