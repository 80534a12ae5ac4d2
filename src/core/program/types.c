/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grants of types of ICMP. Rules of their own, in chains that only packets of ICMP come to: a type
 * is no port, so the sets of ports can't hold it.
 */
#include "core/program/parts.h"
#include "core/ruleset/sources.h"

#include <netinet/in.h>

/*
 * An answer has a type of its own: there the ends tell enough, because conntrack knows whose answer
 * it is, or looks at the packet later. Before routing nothing leaves by an interface yet.
 */
static void add_type_rule(struct builder *b, struct chain *chain, const struct grant *grant,
			  struct traffic match, uint32_t s, uint32_t d, enum way way,
			  const char *target)
{
	const struct way_words *w = &ways[way];
	struct rule *rule =
		add_rule(b, chain, grant->to->items[0].net.ip.family, NULL, grant->origin);
	const bool routed = strcmp(target, "pass") != 0;

	if (grant->iface && (way != WAY_REPLY || routed))
		term_name(b, rule, w->interface_is, grant->iface);
	term_end(b, rule, w->source_is, w->source, grant->from, s, "from_", grant->from_name);
	term_end(b, rule, w->destination_is, w->destination, grant->to, d, "list_", grant->to_name);
	if (way == WAY_REPLY)
		match = (struct traffic){match.proto, 0, UINT16_MAX};
	term_traffic(b, rule, w->port_is, match);
	if (w->counts)
		term_count(b, rule);
	term_name(b, rule, TERM_GOTO, target);
}

static void add_types_of(struct builder *b, struct chain *chain, const struct grant *grant,
			 struct traffic match, enum way way, const char *target)
{
	for (uint32_t s = 0; s < n_end_rules(grant->from); s++)
		for (uint32_t d = 0; d < n_end_rules(grant->to); d++)
			add_type_rule(b, chain, grant, match, s, d, way, target);
}

bool build_types(struct builder *b, const char *name, const grant_list *grants, enum way way,
		 const char *target)
{
	struct chain *chain = NULL;

	list_each (grant, grants)
		for (uint32_t m = 0; m < grant->n_matches; m++) {
			if (!match_has_types(grant->matches[m]) || !grant->from->n || !grant->to->n)
				continue;
			if (!chain)
				chain = add_chain(b, name);
			add_types_of(b, chain, grant, grant->matches[m], way, target);
		}
	return chain;
}

void lookup_types(struct builder *b, struct chain *chain, const char *name)
{
	static const struct {
		uint8_t family, proto;
	} kinds[] = {{4, IPPROTO_ICMP}, {6, IPPROTO_ICMPV6}};

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct rule *rule = add_rule(b, chain, kinds[i].family, NULL, NONE);

		term_number(b, rule, TERM_PROTO, kinds[i].proto);
		term_name(b, rule, TERM_JUMP, name);
	}
}
