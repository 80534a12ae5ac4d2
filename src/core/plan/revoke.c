/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/revoke.h"

#include <netinet/in.h>

static bool traffic_fits(struct traffic match, uint8_t proto, uint16_t port)
{
	if (match.proto && match.proto != proto)
		return false;
	return !match_has_ports((struct traffic){.proto = proto}) || !match_has_ports(match) ||
	       (port >= match.low && port <= match.high);
}

/* What the first packet asked for. */
static bool is_asked_so(const struct translation *t, const struct connection *c)
{
	return traffic_fits(t->match, c->proto, c->dport) &&
	       (!t->from.ip.family || prefix_contains(t->from, c->src));
}

static bool is_translated_so(const struct translation *t, const struct connection *c)
{
	uint16_t port = t->to_port ? t->to_port : c->dport;

	return ip_equal(t->to, c->answers) && is_asked_so(t, c) &&
	       (!c->answers_port || c->answers_port == port);
}

static bool is_translated(const struct connection *c)
{
	return !ip_equal(c->dst, c->answers);
}

/* --- flows, to be asked --- */

static uint64_t hash_of(struct ip src, struct ip dst, uint8_t proto, uint16_t port)
{
	uint64_t hash = hash_word(HASH_START, (uint64_t)ip_to_v4(src) << 32 | ip_to_v4(dst));

	return hash_word(hash, (uint64_t)proto << 16 | port);
}

static bool is_exact(const struct allow *flow)
{
	return prefix_is_single(flow->src) && prefix_is_single(flow->dst) &&
	       match_has_ports(flow->match) && flow->match.low == flow->match.high;
}

struct admission admission_of(struct arena *a, const struct flows *flows)
{
	struct admission admission = {.flows = flows};

	hash_index_reserve(&admission.exact, a, flows->allows.n);
	for (uint32_t i = 0; i < flows->allows.n; i++) {
		const struct allow *flow = &flows->allows.items[i];

		if (is_exact(flow))
			hash_index_add(&admission.exact,
				       hash_of(flow->src.ip, flow->dst.ip, flow->match.proto,
					       flow->match.low),
				       i);
		else
			*list_add(a, &admission.wide) = i;
	}
	return admission;
}

static bool allows(const struct allow *flow, const struct connection *c, uint16_t port)
{
	return prefix_contains(flow->dst, c->answers) && prefix_contains(flow->src, c->src) &&
	       traffic_fits(flow->match, c->proto, port);
}

/* Some policy says yes to it, directly or through a translation. */
static bool is_admitted(const struct admission *admission, const struct connection *c)
{
	const struct flows *flows = admission->flows;
	uint16_t port = is_translated(c) ? c->answers_port : c->dport;

	if (is_translated(c))
		list_each (t, &flows->translations)
			if (is_translated_so(t, c))
				return true;
	if (hash_index_find(&admission->exact, hash_of(c->src, c->answers, c->proto, port), i,
			    allows(&flows->allows.items[i], c, port)) != NONE)
		return true;
	list_each (i, &admission->wide)
		if (allows(&flows->allows.items[*i], c, port))
			return true;
	return false;
}

/* --- connections that were admitted --- */

static bool leads_into_managed(const struct flows *flows, const struct connection *c)
{
	list_each (tied, &flows->tied)
		if (prefix_contains(tied->subnet, c->answers))
			return true;
	return false;
}

bool revocation_concerns(const struct revocation *r, const struct admission *earlier,
			 const struct connection *c)
{
	if (is_admitted(earlier, c))
		return true;
	return r->blind && (c->mark & r->bits) == r->admitted && leads_into_managed(r->now, c);
}

/* Another target by now: what has no connection of its own is translated anew, packet by packet. */
static bool is_led_elsewhere(const struct revocation *r, const struct connection *c)
{
	if (c->proto == IPPROTO_TCP || !is_translated(c))
		return false;
	list_each (t, &r->now->translations)
		if (is_asked_so(t, c))
			return true;
	return false;
}

static bool is_closed(const struct flows *flows, struct ip ip)
{
	list_each (home, &flows->homes)
		if (!home->open && prefix_contains(home->subnet, ip))
			return true;
	return false;
}

/* Neither end can begin anything at the other, unless a policy says so. */
static bool is_kept_apart(const struct revocation *r, const struct connection *c)
{
	return is_closed(r->now, c->src) && is_closed(r->now, c->answers);
}

enum fate revocation_fate(const struct revocation *r, const struct admission *now,
			  const struct connection *c)
{
	if (is_admitted(now, c))
		return FATE_LIVES;
	if (!r->mutes || is_led_elsewhere(r, c) || is_kept_apart(r, c))
		return FATE_ENDS;
	return c->mark == r->muted ? FATE_LIVES : FATE_MUTED;
}
