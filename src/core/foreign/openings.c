/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/foreign/openings.h"

#include <string.h>

enum { MAX_DEPTH = 16, MAX_FOUND = 100, MAX_LOOKS = 100000 };

/* What the rules that lead to a chain have said already. */
struct path {
	const char *in, *out;	/* NULL: any */
	struct prefix src, dst; /* family 0: any */
};

struct search {
	opening_list *found;
	struct arena *a;
	enum variant variant;
	uint8_t family;
	const char *table;
	plain_chains chains;
	const struct managed *managed;
	uint32_t looks;
};

static bool starts(const char *text, const char *head)
{
	return !strncmp(text, head, strlen(head));
}

/* Docker's own chains, ours, and those of firewalld's zones. */
static bool is_known_chain(const char *name)
{
	return (starts(name, "DOCKER") && strcmp(name, "DOCKER-USER") != 0) ||
	       starts(name, IPT_PREFIX) || starts(name, "FORWARD_") || starts(name, "FWD");
}

static bool holds_managed(const struct search *s, struct prefix net)
{
	list_each (subnet, &s->managed->subnets)
		if (prefix_overlaps(*subnet, net))
			return true;
	return false;
}

static bool is_named_by(const interfaces *names, const char *said)
{
	size_t len = strlen(said);

	if (!len || said[len - 1] != '+')
		return interfaces_have(names, said);
	list_each (name, names)
		if (!strncmp(*name, said, len - 1))
			return true;
	return false;
}

/* What is known once this rule has matched, too. Negated parts leave most as it was. */
static struct path follow(struct path path, const struct plain *p)
{
	if (p->in && !(p->nots & NOT_IN))
		path.in = p->in;
	if (p->out && !(p->nots & NOT_OUT))
		path.out = p->out;
	if (p->src.ip.family && !(p->nots & NOT_SRC))
		path.src = p->src;
	if (p->dst.ip.family && !(p->nots & NOT_DST))
		path.dst = p->dst;
	return path;
}

/* Between a bridge and itself, or, as Docker says it up to 27, out of a bridge: nobody gets in. */
static bool stays_or_leaves(const struct search *s, const char *chain, const struct plain *p)
{
	bool same = p->in && p->out && !strcmp(p->in, p->out) && !(p->nots & NOT_IN);

	return same && (!(p->nots & NOT_OUT) ||
			(!strcmp(chain, "FORWARD") && interfaces_have(&s->managed->docker, p->in)));
}

static bool accepts_new(const struct plain *p)
{
	return !p->states || p->states & CT_NEW;
}

/*
 * In a chain of somebody's own an accept that names nothing of ours, and whose way there named
 * nothing, is about something else.
 */
static bool opens(const struct search *s, const char *chain, const struct plain *p,
		  const struct path *path)
{
	bool to_managed = path->dst.ip.family && holds_managed(s, path->dst);
	bool by_managed = path->out && is_named_by(&s->managed->bridges, path->out);
	bool own = strcmp(chain, "FORWARD") != 0 && strcmp(chain, "DOCKER-USER") != 0;

	if (p->more || p->mark_mask || p->ct_mark_mask || !accepts_new(p) ||
	    stays_or_leaves(s, chain, p))
		return false;
	if ((path->dst.ip.family && !to_managed) || (path->out && !by_managed))
		return false;
	return to_managed || by_managed || !own || path->src.ip.family || path->in;
}

static void add(struct search *s, const struct plain *p)
{
	list_each (o, s->found)
		if (!strcmp(o->table, s->table) && !strcmp(o->rule, p->text))
			return;
	if (s->found->n < MAX_FOUND)
		*list_add(s->a, s->found) =
			(struct opening){s->variant, s->family, s->table, p->text};
}

static void search_filter(struct search *s, const struct plain_chain *chain, struct path path,
			  unsigned depth)
{
	list_each (p, &chain->rules) {
		const struct plain_chain *next = plain_find_chain(&s->chains, p->target);
		struct path there = follow(path, p);

		if (depth == MAX_DEPTH || s->looks++ > MAX_LOOKS)
			return;
		/* behind its drops nobody gets in any more */
		if (!strcmp(p->target, "DOCKER-FORWARD"))
			return;
		if (!strcmp(p->target, "ACCEPT") && !p->ours && opens(s, chain->name, p, &there))
			add(s, p);
		else if (next && !p->more && accepts_new(p) && !is_known_chain(next->name))
			search_filter(s, next, there, depth + 1);
		if (!next && *p->target && plain_matches_everything(p) &&
		    strcmp(p->target, "LOG") != 0)
			return; /* what follows is not reached */
	}
}

static void search_nat(struct search *s, const struct plain_chain *chain, unsigned depth)
{
	list_each (p, &chain->rules) {
		const struct plain_chain *next = plain_find_chain(&s->chains, p->target);

		if (depth == MAX_DEPTH || s->looks++ > MAX_LOOKS)
			return;
		if (!strcmp(p->target, "DNAT") && !p->ours && p->to.family &&
		    holds_managed(s, prefix_of(p->to)))
			add(s, p);
		else if (next && !is_known_chain(next->name))
			search_nat(s, next, depth + 1);
	}
}

static const struct plain_chain *begin(struct search *s, const char *save, const char *table,
				       const char *chain)
{
	s->table = table;
	s->looks = 0;
	s->chains = (plain_chains){0};
	plain_parse_table(&s->chains, s->a, save, table);
	return plain_find_chain(&s->chains, chain);
}

void openings_find(opening_list *found, struct arena *a, enum variant variant, uint8_t family,
		   const char *save, const struct managed *managed)
{
	struct search s = {
		.found = found, .a = a, .variant = variant, .family = family, .managed = managed};
	const struct plain_chain *chain = begin(&s, save, "filter", "FORWARD");

	if (chain && !managed->closed)
		search_filter(&s, chain, (struct path){0}, 0);
	chain = begin(&s, save, "nat", "PREROUTING");
	if (chain)
		search_nat(&s, chain, 0);
}
