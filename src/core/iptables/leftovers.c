/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/iptables/leftovers.h"

#include "core/foreign/plain.h"

#include <string.h>

/* A state match that matches established packets only. */
static bool takes_replies(const struct plain *p)
{
	return p->states && !(p->states & CT_NEW);
}

static bool is_port(struct span span)
{
	return span.low && span.low == span.high;
}

/*
 * A rule as network-go writes it: no negation, one port, no comment, and nothing that we do not
 * understand.
 */
static bool is_simple(const struct plain *p)
{
	return !p->more && !p->extra && !p->nots && !p->commented && !p->goes && !p->first_only &&
	       !p->mark_mask && !p->ct_mark_mask && !(p->states & STATE_DNAT) &&
	       (!p->states || p->states & (CT_NEW | CT_ESTABLISHED)) && p->n_dports <= 1 &&
	       (!p->n_dports || is_port(p->dports[0])) && (!p->sport.high || is_port(p->sport));
}

/* 0: any */
static uint16_t dport_of(const struct plain *p)
{
	return p->n_dports ? p->dports[0].low : 0;
}

/* --- does a policy say the same? --- */

/* Compares an address of the rule with one of the flow: none means any. */
static bool same_prefix(struct prefix said, struct prefix meant)
{
	if (!said.ip.family)
		return meant.ip.family && !meant.len;
	return meant.ip.family && prefix_compare(said, meant) == 0;
}

static bool port_fits(struct traffic match, uint16_t port)
{
	return !port || (port >= match.low && port <= match.high);
}

static bool proto_fits(struct traffic match, uint8_t proto)
{
	return !proto || !match.proto || match.proto == proto;
}

static bool among(struct prefix said, const struct peers *peers)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (same_prefix(said, peers->items[i].net))
			return true;
	return false;
}

/* Matches a flow or its replies. A rule without addresses is too wide for one policy. */
static bool is_granted(const struct plain *p, const struct grant *grant)
{
	bool there, back;

	if ((!p->src.ip.family && !p->dst.ip.family) || grant->iface)
		return false;
	there = !p->sport.low && among(p->src, grant->from) && among(p->dst, grant->to);
	back = !dport_of(p) && (p->sport.low || takes_replies(p)) && among(p->src, grant->to) &&
	       among(p->dst, grant->from);
	for (uint32_t m = 0; m < grant->n_matches; m++)
		if (proto_fits(grant->matches[m], p->proto) &&
		    ((there && port_fits(grant->matches[m], dport_of(p))) ||
		     (back && port_fits(grant->matches[m], p->sport.low))))
			return true;
	return false;
}

static bool is_translated(const struct plain *p, const struct translation *t)
{
	struct traffic match = t->match;

	if (t->to_port)
		match.low = match.high = t->to_port;
	return proto_fits(match, p->proto) && same_prefix(p->dst, prefix_of(t->to)) &&
	       !p->src.ip.family && dport_of(p) && port_fits(match, dport_of(p));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_translation(const struct plain *p, const struct translation *t)
{
	return p->to.family && ip_equal(p->to, t->to) && same_text(p->in, t->iface) &&
	       dport_of(p) && proto_fits(t->match, p->proto) && port_fits(t->match, dport_of(p)) &&
	       (!p->to_port || p->to_port == (t->to_port ? t->to_port : dport_of(p)));
}

static uint32_t who_accepts(const struct plain *p, const struct flows *flows)
{
	list_each (grant, &flows->grants)
		if (is_granted(p, grant))
			return grant->origin;
	list_each (t, &flows->translations)
		if (is_translated(p, t))
			return t->origin;
	return NONE;
}

static uint32_t who_translates(const struct plain *p, const struct flows *flows)
{
	list_each (t, &flows->translations)
		if (is_translation(p, t))
			return t->origin;
	return NONE;
}

static uint32_t who_masquerades(const struct plain *p, const struct flows *flows)
{
	list_each (t, &flows->translations)
		if (is_translated(p, t))
			return t->origin;
	return NONE;
}

static const struct {
	const char *table, *chain, *target;
	uint32_t (*who)(const struct plain *p, const struct flows *flows);
} places[] = {
	{"filter", "DOCKER-USER", "ACCEPT", who_accepts},
	{"filter", "FORWARD", "ACCEPT", who_accepts},
	{"nat", "PREROUTING", "DNAT", who_translates},
	{"nat", "POSTROUTING", "MASQUERADE", who_masquerades},
};

static uint32_t whose(const struct plain *p, const char *table, const char *chain,
		      const struct flows *flows)
{
	for (size_t i = 0; i < COUNT_OF(places); i++)
		if (!strcmp(places[i].table, table) && !strcmp(places[i].chain, chain) &&
		    !strcmp(places[i].target, p->target))
			return places[i].who(p, flows);
	return NONE;
}

void leftovers_find(leftover_list *found, struct arena *a, enum variant variant, uint8_t family,
		    const char *save, const struct flows *flows)
{
	const char *table = "", *chain;

	for (size_t len; *save; save += len + (save[len] == '\n')) {
		struct plain p;
		uint32_t origin;

		len = strcspn(save, "\n");
		if (*save == '*')
			table = arena_strndup(a, save + 1, len - 1);
		if (!plain_parse(&p, &chain, a, save, len) || !is_simple(&p))
			continue;
		origin = whose(&p, table, chain, flows);
		if (origin != NONE)
			*list_add(a, found) =
				(struct leftover){variant, family, table, p.text, origin};
	}
}
