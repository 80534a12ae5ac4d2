/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/foreign/plain.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

const struct plain_chain *plain_find_chain(const plain_chains *chains, const char *name)
{
	list_each (chain, chains)
		if (!strcmp(chain->name, name))
			return chain;
	return NULL;
}

/* --- does it match? --- */

static enum matched negate(enum matched m)
{
	static const enum matched others[] = {[MATCHES_NONE] = MATCHES_ALL,
					      [MATCHES_SOME] = MATCHES_MOST,
					      [MATCHES_MOST] = MATCHES_MOST,
					      [MATCHES_ALL] = MATCHES_NONE};

	return others[m];
}

static enum matched match_address(struct prefix said, struct prefix known)
{
	if (!said.ip.family)
		return MATCHES_ALL;
	if (!known.ip.family)
		return said.len ? MATCHES_SOME : MATCHES_ALL;
	if (prefix_covers(said, known))
		return MATCHES_ALL;
	return prefix_overlaps(said, known) ? MATCHES_SOME : MATCHES_NONE;
}

static enum matched match_family(const struct plain *p, const struct packet *k)
{
	if (!p->family || p->family == k->family)
		return MATCHES_ALL;
	return k->family ? MATCHES_NONE : MATCHES_SOME;
}

/* "br-+" is every name that begins so. */
static bool is_interface(const char *said, const char *name)
{
	size_t len = strlen(said);

	if (len && said[len - 1] == '+')
		return !strncmp(said, name, len - 1);
	return !strcmp(said, name);
}

static enum matched match_interface(const char *said, const char *known, enum matched otherwise)
{
	if (!said || !strcmp(said, "+"))
		return MATCHES_ALL;
	if (!known)
		return otherwise;
	return is_interface(said, known) ? MATCHES_ALL : MATCHES_NONE;
}

static enum matched match_proto(const struct plain *p, const struct packet *k)
{
	if (!p->proto)
		return MATCHES_ALL;
	if (!k->proto)
		return MATCHES_SOME;
	return p->proto == k->proto ? MATCHES_ALL : MATCHES_NONE;
}

static enum matched match_dports(const struct plain *p, const struct packet *k)
{
	enum matched best = MATCHES_NONE;

	if (!p->n_dports)
		return MATCHES_ALL;
	if (k->proto && !protocol_has_ports(k->proto))
		return MATCHES_NONE;
	if (k->reply)
		return MATCHES_SOME;
	for (uint8_t i = 0; i < p->n_dports; i++) {
		const struct span *s = &p->dports[i];

		if (s->low <= k->dports.low && k->dports.high <= s->high)
			return MATCHES_ALL;
		if (s->low <= k->dports.high && k->dports.low <= s->high)
			best = MATCHES_SOME;
	}
	return best;
}

static enum matched match_states(const struct plain *p, const struct packet *k)
{
	uint16_t state = k->reply ? CT_ESTABLISHED : CT_NEW;

	if (!p->states || p->states & state || (p->states & STATE_DNAT && k->dnat))
		return MATCHES_ALL;
	return MATCHES_NONE;
}

static enum matched match_first(const struct plain *p, const struct packet *k)
{
	if (!p->first_only)
		return MATCHES_ALL;
	if (k->reply)
		return MATCHES_NONE;
	return k->proto == IPPROTO_TCP ? MATCHES_ALL : k->proto ? MATCHES_NONE : MATCHES_SOME;
}

/* Of bits that are not known to be set nothing is known. */
static enum matched match_mark(uint32_t said, uint32_t mask, uint32_t known)
{
	if (!mask || (said == mask && !(mask & ~known)))
		return MATCHES_ALL;
	return known & mask & ~said ? MATCHES_NONE : MATCHES_SOME;
}

bool plain_matches_everything(const struct plain *p)
{
	const struct packet anything = {.family = p->family, .dports = {0, UINT16_MAX}};

	return !p->never && !p->states && plain_matches(p, &anything) == MATCHES_ALL;
}

enum matched plain_matches(const struct plain *p, const struct packet *k)
{
	const struct {
		enum matched matched;
		unsigned not ;
	} parts[] = {
		{match_family(p, k), 0},
		{match_address(p->src, k->src), p->nots & NOT_SRC},
		{match_address(p->dst, k->dst), p->nots & NOT_DST},
		{match_interface(p->in, k->in, MATCHES_MOST), p->nots & NOT_IN},
		{match_interface(p->out, k->out, MATCHES_SOME), p->nots & NOT_OUT},
		{match_proto(p, k), p->nots & NOT_PROTO},
		{match_dports(p, k), p->nots & NOT_DPORT},
		{match_states(p, k), 0},
		{match_first(p, k), 0},
		{match_mark(p->mark, p->mark_mask, k->mark), 0},
		{match_mark(p->ct_mark, p->ct_mark_mask, k->ct_mark), 0},
	};
	enum matched least = p->never			? MATCHES_NONE
			     : p->more || p->sport.high ? MATCHES_SOME
							: MATCHES_ALL;

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		enum matched m = parts[i].not ? negate(parts[i].matched) : parts[i].matched;

		least = m < least ? m : least;
	}
	return least;
}

/* --- as text --- */

static const char *not_text(const struct plain *p, unsigned bit)
{
	return p->nots & bit ? "! " : "";
}

static const char *proto_text(struct arena *a, uint8_t proto)
{
	if (proto == IPPROTO_ICMPV6)
		return "ipv6-icmp";
	return protocol_has_name(proto) ? protocol_name(proto) : arena_printf(a, "%u", proto);
}

static void add_dports(struct buf *out, const struct plain *p, const char *proto)
{
	bool one = p->n_dports == 1;

	if (!p->n_dports)
		return;
	buf_printf(out, " -m %s %s%s", one ? proto : "multiport", not_text(p, NOT_DPORT),
		   one ? "--dport " : "--dports ");
	for (uint8_t i = 0; i < p->n_dports; i++) {
		buf_printf(out, "%s%u", i ? "," : "", p->dports[i].low);
		if (p->dports[i].high != p->dports[i].low)
			buf_printf(out, ":%u", p->dports[i].high);
	}
}

static void add_states(struct buf *out, const struct plain *p)
{
	static const struct {
		uint16_t bit;
		const char *name;
	} names[] = {{CT_INVALID, "INVALID"},
		     {CT_NEW, "NEW"},
		     {CT_RELATED, "RELATED"},
		     {CT_ESTABLISHED, "ESTABLISHED"},
		     {STATE_DNAT, "DNAT"}};
	const char *comma = " -m conntrack --ctstate ";

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (p->states & names[i].bit) {
			buf_printf(out, "%s%s", comma, names[i].name);
			comma = ",";
		}
}

const char *plain_text(const struct plain *p, const char *chain, struct arena *a)
{
	AUTO_BUF struct buf out = {0};
	const char *proto = proto_text(a, p->proto);

	if (p->text)
		return p->text;
	buf_printf(&out, "-A %s", chain);
	if (p->src.ip.family)
		buf_printf(&out, " %s-s %s", not_text(p, NOT_SRC), prefix_format_full(p->src).s);
	if (p->dst.ip.family)
		buf_printf(&out, " %s-d %s", not_text(p, NOT_DST), prefix_format_full(p->dst).s);
	if (p->in)
		buf_printf(&out, " %s-i %s", not_text(p, NOT_IN), p->in);
	if (p->out)
		buf_printf(&out, " %s-o %s", not_text(p, NOT_OUT), p->out);
	if (p->proto)
		buf_printf(&out, " %s-p %s", not_text(p, NOT_PROTO), proto);
	add_dports(&out, p, proto);
	if (p->first_only)
		buf_puts(&out, " -m tcp --syn");
	add_states(&out, p);
	if (p->mark_mask)
		buf_printf(&out, " -m mark --mark 0x%x/0x%x", p->mark, p->mark_mask);
	if (p->ct_mark_mask)
		buf_printf(&out, " -m connmark --mark 0x%x/0x%x", p->ct_mark, p->ct_mark_mask);
	if (p->more)
		buf_puts(&out, " …");
	if (*p->target)
		buf_printf(&out, " %s %s", p->goes ? "-g" : "-j", p->target);
	return arena_strdup(a, buf_text(&out));
}
