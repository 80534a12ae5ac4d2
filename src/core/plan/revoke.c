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

bool flows_admit(const struct flows *flows, const struct connection *c)
{
	bool translated = !ip_equal(c->dst, c->answers);

	if (translated)
		list_each (t, &flows->translations)
			if (is_translated_so(t, c))
				return true;
	list_each (flow, &flows->allows)
		if (prefix_contains(flow->dst, c->answers) && prefix_contains(flow->src, c->src) &&
		    traffic_fits(flow->match, c->proto, translated ? c->answers_port : c->dport))
			return true;
	return false;
}
