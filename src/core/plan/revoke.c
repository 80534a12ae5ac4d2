/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/revoke.h"

#include "core/iptables/iptables.h"
#include "core/nft/flows.h"

#include <netinet/in.h>
#include <string.h>

uint16_t connection_asks(const struct connection *c)
{
	return c->icmp_type ? c->icmp_type : c->dport;
}

/* What the first packet asked for. */
static bool is_asked_so(const struct translation *t, const struct connection *c)
{
	return match_holds(t->match, c->proto, connection_asks(c)) &&
	       (!t->from.ip.family || prefix_contains(t->from, c->src));
}

bool connection_is_of(const struct connection *c, const struct translation *t)
{
	uint16_t port = t->to_port ? t->to_port : c->dport;

	return ip_equal(t->to, c->answers) && is_asked_so(t, c) &&
	       (!c->answers_port || c->answers_port == port);
}

bool connection_is_translated(const struct connection *c)
{
	return !ip_equal(c->dst, c->answers);
}

/* --- flows, indexed for look-ups --- */

static uint64_t hash_of(struct ip src, struct ip dst, uint8_t proto, uint16_t port)
{
	uint64_t hash;

	if (src.family == 4)
		hash = hash_word(HASH_START, (uint64_t)ip_to_v4(src) << 32 | ip_to_v4(dst));
	else
		hash = hash_more(hash_bytes(&src, sizeof(src)), &dst, sizeof(dst));
	return hash_word(hash, (uint64_t)proto << 16 | port);
}

static bool is_exact(const struct grant *g)
{
	for (uint32_t m = 0; m < g->n_matches; m++)
		if (!match_has_ports(g->matches[m]) || g->matches[m].low != g->matches[m].high)
			return false;
	return grant_is_few_pairs(g);
}

static void add_exact(struct admission *admission, struct arena *a, uint32_t grant)
{
	const struct grant *g = &admission->grants.items[grant];

	for (uint32_t s = 0; s < g->from->n; s++)
		for (uint32_t d = 0; d < g->to->n; d++)
			for (uint32_t m = 0; m < g->n_matches; m++) {
				uint64_t hash =
					hash_of(g->from->items[s].net.ip, g->to->items[d].net.ip,
						g->matches[m].proto, g->matches[m].low);

				*list_add(a, &admission->one) = (struct exact_grant){hash, grant};
				hash_index_grow(&admission->exact, a, &admission->one, i,
						admission->one.items[i].hash);
			}
}

static void add_translations(struct admission *admission, struct arena *a,
			     const struct flows *flows)
{
	list_each (t, &flows->translations)
		*list_add(a, &admission->translations) = *t;
	list_each (t, &flows->own)
		*list_add(a, &admission->translations) = *t;
}

static void add_entrance(struct admission *admission, struct arena *a, const char *name)
{
	if (name && !interfaces_have(&admission->entrances, name)) {
		*list_add(a, &admission->entrances) = name;
		interfaces_sort(&admission->entrances);
	}
}

void admit_grants(struct admission *admission, struct arena *a, const struct grant *grants,
		  uint32_t n)
{
	for (const struct grant *grant = grants; grant < grants + n; grant++) {
		add_entrance(admission, a, grant->iface);
		*list_add(a, &admission->grants) = *grant;
		if (is_exact(grant))
			add_exact(admission, a, admission->grants.n - 1);
		else
			*list_add(a, &admission->wide) = admission->grants.n - 1;
	}
}

void admit_flows(struct admission *admission, struct arena *a, const struct flows *flows)
{
	add_translations(admission, a, flows);
	admit_grants(admission, a, flows->grants.items, flows->grants.n);
}

void admit_rules(struct admission *admission, struct arena *a, const struct space *space)
{
	const struct replay *table = nft_replay_of(a, &space->ruleset);
	struct flows read = {0};

	if (table) {
		*list_add(a, &admission->tables) = table;
		list_each (name, nft_replay_entrances(table))
			add_entrance(admission, a, *name);
	}
	nft_read_translations(&read, a, &space->ruleset);
	ipt_read_flows(&read, a, &space->chains);
	admit_flows(admission, a, &read);
}

static bool grants(const struct admission *admission, uint32_t grant, const struct connection *c,
		   uint16_t port, const char *in)
{
	const struct grant *g = &admission->grants.items[grant];

	if (g->iface && (!in || strcmp(g->iface, in) != 0))
		return false;
	for (uint32_t m = 0; m < g->n_matches; m++)
		if (match_holds(g->matches[m], c->proto, port))
			return peers_hold(g->to, c->answers) && peers_hold(g->from, c->src);
	return false;
}

static bool tables_admit(const struct admission *admission, const struct connection *c,
			 uint16_t port, const char *in)
{
	const struct replayed packet = {c->src, c->answers, c->proto, port, in};

	list_each (table, &admission->tables)
		if (nft_replay_admits(*table, &packet))
			return true;
	return false;
}

/* Some policy admits it, directly or through a translation, if it came in there; NULL: elsewhere.
 */
static bool is_admitted_by(const struct admission *admission, const struct connection *c,
			   const char *in)
{
	uint16_t port =
		connection_is_translated(c) && !c->icmp_type ? c->answers_port : connection_asks(c);

	if (connection_is_translated(c))
		list_each (t, &admission->translations)
			if (connection_is_of(c, t))
				return true;
	if (tables_admit(admission, c, port, in))
		return true;
	if (hash_index_find(&admission->exact, hash_of(c->src, c->answers, c->proto, port), i,
			    grants(admission, admission->one.items[i].grant, c, port, in)) != NONE)
		return true;
	list_each (i, &admission->wide)
		if (grants(admission, *i, c, port, in))
			return true;
	return false;
}

static bool was_admitted(const struct admission *earlier, const struct connection *c)
{
	if (is_admitted_by(earlier, c, NULL))
		return true;
	list_each (in, &earlier->entrances)
		if (is_admitted_by(earlier, c, *in))
			return true;
	return false;
}

/*
 * An entry does not tell the interface that its connection came in by: it stays admitted if it is
 * by every one that let it in. If not, rules that mute look its packets up once more, and let on
 * what came by the right one.
 */
static bool is_still_admitted(const struct revocation *r, const struct connection *c)
{
	if (is_admitted_by(r->now, c, NULL))
		return true;
	if (is_admitted_by(r->earlier, c, NULL))
		return false;
	list_each (in, &r->earlier->entrances)
		if (is_admitted_by(r->earlier, c, *in) && !is_admitted_by(r->now, c, *in))
			return false;
	return was_admitted(r->earlier, c);
}

/* --- connections that were admitted --- */

static bool leads_into_managed(const struct flows *flows, const struct connection *c)
{
	list_each (bound, &flows->bound)
		if (prefix_contains(bound->subnet, c->answers))
			return true;
	return false;
}

static bool leads_from_managed(const struct flows *flows, const struct connection *c)
{
	list_each (bound, &flows->bound)
		if (prefix_contains(bound->subnet, c->src))
			return true;
	return false;
}

static bool has_home(const struct flows *flows, struct ip ip)
{
	list_each (home, &flows->homes)
		if (prefix_contains(home->subnet, ip))
			return true;
	return false;
}

/* Our mark bits that this kind of flow can bear; others may have overwritten the whole mark. */
static bool bears_our_mark(const struct revocation *r, const struct connection *c)
{
	uint32_t bits = c->mark & (r->admitted | r->between);

	return bits == r->admitted ||
	       (bits == r->between && has_home(r->flows, c->src) && has_home(r->flows, c->answers));
}

static bool is_own(const struct revocation *r, struct ip ip)
{
	for (uint32_t i = 0; i < r->n_own; i++)
		if (ip_equal(r->own[i], ip))
			return true;
	return false;
}

/*
 * The incoming interface is unknown. If the guess is wrong, the next packet creates the same entry
 * again.
 */
static bool is_caught(const struct revocation *r, const struct connection *c)
{
	if (!r->translates || connection_is_translated(c) || c->proto == IPPROTO_TCP ||
	    c->proto == IPPROTO_SCTP || !is_own(r, c->dst))
		return false;
	list_each (t, &r->flows->translations)
		if (is_asked_so(t, c))
			return true;
	list_each (t, &r->flows->own)
		if (is_asked_so(t, c) && is_own(r, c->src))
			return true;
	return false;
}

/* We translated what the host itself began: it does not pass the rules that mute. */
static bool is_begun_here(const struct revocation *r, const struct connection *c)
{
	return connection_is_translated(c) && is_own(r, c->src) && bears_our_mark(r, c);
}

/* --- egress deny --- */

static uint32_t denied_network_of(const struct revocation *r, struct ip ip)
{
	uint32_t i = 0;

	list_each (d, &r->flows->denied) {
		list_each (subnet, &d->subnets)
			if (prefix_contains(*subnet, ip))
				return i;
		i++;
	}
	return NONE;
}

/* One of the grant's matches holds what it asked for. */
static bool is_asked(const struct grant *grant, const struct connection *c)
{
	for (uint32_t m = 0; m < grant->n_matches; m++)
		if (match_holds(grant->matches[m], c->proto, connection_asks(c)))
			return true;
	return false;
}

static bool is_lifted_to_host(const struct revocation *r, const struct connection *c)
{
	list_each (grant, &r->flows->to_host)
		if (is_asked(grant, c) && peers_hold(grant->from, c->src))
			return true;
	return false;
}

static bool is_lifted(const struct revocation *r, const struct connection *c)
{
	list_each (bound, &r->flows->bound)
		if (bound->declared && prefix_contains(bound->subnet, c->answers))
			return false;
	return is_admitted_by(r->lifted, c, NULL);
}

/* A container of such a network began it beyond its network, and no policy says that it may. */
static bool is_denied(const struct revocation *r, const struct connection *c)
{
	bool to_host = is_own(r, c->dst);
	uint32_t from = r->lifted ? denied_network_of(r, c->src) : NONE;

	if (from == NONE || is_own(r, c->src) ||
	    (!to_host && denied_network_of(r, c->answers) == from))
		return false;
	return !is_still_admitted(r, c) && !(to_host ? is_lifted_to_host(r, c) : is_lifted(r, c));
}

/* --- strict networks --- */

static const struct sealed *sealed_network_of(const struct revocation *r, struct ip ip)
{
	list_each (sealed, &r->flows->sealed)
		list_each (subnet, &sealed->subnets)
			if (prefix_contains(*subnet, ip))
				return sealed;
	return NULL;
}

/* A program of this host answers in the place of a container. */
static bool is_served(const struct revocation *r, const struct connection *c)
{
	list_each (sealed, &r->flows->sealed)
		list_each (published, &sealed->published)
			if (published->proto == c->proto && published->port == c->dport)
				return is_own(r, c->dst) && !is_own(r, c->src);
	return false;
}

/* Into a strict network that is closed to this host, which began it. */
static bool is_opened_to_host(const struct revocation *r, const struct connection *c)
{
	list_each (grant, &r->flows->from_host)
		if (is_asked(grant, c) && peers_hold(grant->to, c->answers))
			return true;
	return false;
}

/* It leads into a strict network, and no policy says that it may. */
static bool is_unwanted(const struct revocation *r, const struct connection *c)
{
	const struct sealed *sealed = sealed_network_of(r, c->answers);

	if (!sealed || is_own(r, c->answers))
		return is_served(r, c);
	if (is_own(r, c->src))
		return sealed->closed_to_host && !is_opened_to_host(r, c) &&
		       !is_still_admitted(r, c);
	return !is_still_admitted(r, c);
}

/* What no policy decides about: it was stopped by a network that is not strict any more. */
static bool is_free(const struct revocation *r, const struct connection *c)
{
	return is_own(r, c->src) ||
	       (leads_from_managed(r->flows, c) && !has_home(r->flows, c->answers));
}

/* It was denied once and is no more: its next packet begins it anew. */
static bool is_pardoned(const struct revocation *r, const struct connection *c)
{
	return c->mark == r->muted && is_free(r, c) && !is_denied(r, c) && !is_unwanted(r, c);
}

bool revocation_concerns(const struct revocation *r, const struct connection *c)
{
	return is_caught(r, c) || is_denied(r, c) || is_unwanted(r, c) || is_pardoned(r, c) ||
	       was_admitted(r->earlier, c) ||
	       (r->blind && bears_our_mark(r, c) && leads_into_managed(r->flows, c));
}

/* The target has changed. Protocols without connections are translated again, packet by packet. */
static bool is_led_elsewhere(const struct revocation *r, const struct connection *c)
{
	if (c->proto == IPPROTO_TCP || !connection_is_translated(c))
		return false;
	list_each (t, &r->flows->translations)
		if (is_asked_so(t, c))
			return true;
	return false;
}

/* Another port is led to the same one of the target: the rules that mute would let it on. */
static bool is_let_on(const struct revocation *r, const struct connection *c)
{
	if (!connection_is_translated(c))
		return false;
	list_each (t, &r->flows->translations) {
		struct traffic there = t->match;

		if (match_has_ports(there) && t->to_port)
			there.low = there.high = t->to_port;
		if (ip_equal(t->to, c->answers) &&
		    match_holds(there, c->proto, c->icmp_type ? c->icmp_type : c->answers_port))
			return true;
	}
	return false;
}

static bool is_closed(const struct flows *flows, struct ip ip)
{
	list_each (home, &flows->homes)
		if (!home->open && prefix_contains(home->subnet, ip))
			return true;
	return false;
}

/* Neither end can begin a connection to the other, unless a policy admits it. */
static bool is_kept_apart(const struct revocation *r, const struct connection *c)
{
	return is_closed(r->flows, c->src) && is_closed(r->flows, c->answers);
}

/* Not deleted: what a server of this host sends next would begin it anew, the other way round. */
static enum fate denied_fate(const struct revocation *r, const struct connection *c)
{
	if (!r->mutes)
		return FATE_ENDS;
	return c->mark == r->muted ? FATE_LIVES : FATE_MUTED;
}

enum fate revocation_fate(const struct revocation *r, const struct connection *c)
{
	if (is_caught(r, c) || is_pardoned(r, c))
		return FATE_ENDS;
	if (is_still_admitted(r, c))
		return FATE_LIVES;
	if (is_denied(r, c) || is_unwanted(r, c))
		return denied_fate(r, c);
	if (!r->mutes || is_led_elsewhere(r, c) || is_let_on(r, c) || is_kept_apart(r, c) ||
	    is_begun_here(r, c))
		return FATE_ENDS;
	return c->mark == r->muted ? FATE_LIVES : FATE_MUTED;
}
