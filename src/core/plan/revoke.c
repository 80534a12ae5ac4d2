/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/revoke.h"

static bool traffic_fits(struct traffic match, uint8_t proto, uint16_t port)
{
	if (match.proto && match.proto != proto)
		return false;
	return !match_has_ports((struct traffic){.proto = proto}) || !match_has_ports(match) ||
	       (port >= match.low && port <= match.high);
}

static bool is_translated_so(const struct translation *t, const struct connection *c)
{
	uint16_t port = t->to_port ? t->to_port : c->dport;

	return ip_equal(t->to, c->answers) && traffic_fits(t->match, c->proto, c->dport) &&
	       (!c->answers_port || c->answers_port == port) &&
	       (!t->from.ip.family || prefix_contains(t->from, c->src));
}

static bool holds(const struct peers *peers, struct ip ip)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (prefix_contains(peers->items[i].net, ip))
			return true;
	return false;
}

static bool matches_fit(const struct grant *grant, uint8_t proto, uint16_t port)
{
	for (uint32_t m = 0; m < grant->n_matches; m++)
		if (traffic_fits(grant->matches[m], proto, port))
			return true;
	return false;
}

bool flows_admit(const struct flows *flows, const struct connection *c)
{
	bool translated = !ip_equal(c->dst, c->answers);

	if (translated)
		list_each (t, &flows->translations)
			if (is_translated_so(t, c))
				return true;
	list_each (grant, &flows->grants)
		if (holds(grant->to, c->answers) && holds(grant->from, c->src) &&
		    matches_fit(grant, c->proto, translated ? c->answers_port : c->dport))
			return true;
	return false;
}
