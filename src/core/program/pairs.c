/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What most policies are: pairs of addresses, each with a port or with every port of a protocol, as
 * elements of hashed sets.
 */
#include "core/program/groups.h"

/* Two sets of pairs of addresses of a family: with a port, and for every port of a protocol. */
struct pair_sets {
	struct set ports, protocols;
};

static struct pair_sets new_pair_sets(struct builder *b, uint8_t family, enum way way)
{
	const enum field ip = address_field(family);
	const char *name = arena_printf(b->a, "%sallow", ways[way].prefix);
	const bool counts = way_counts(b, way);

	return (struct pair_sets){
		.ports = {.name = name_of_family(b, name, family),
			  .role = ways[way].pairs,
			  .counts = counts,
			  .key = {ip, ip, FIELD_PROTO, FIELD_PORT},
			  .n_key = 4},
		.protocols = {.name = name_of_family(b, arena_printf(b->a, "%s_all_ports", name),
						     family),
			      .role = ways[way].pairs,
			      .counts = counts,
			      .key = {ip, ip, FIELD_PROTO},
			      .n_key = 3},
	};
}

static void add_pairs(struct builder *b, struct pair_sets *sets, const struct grant *grant,
		      struct traffic match)
{
	bool port = match_single_port(match);

	for (uint32_t s = 0; s < grant->from->n; s++)
		for (uint32_t d = 0; d < grant->to->n; d++) {
			struct ip src = grant->from->items[s].net.ip,
				  dst = grant->to->items[d].net.ip;
			uint8_t *at = set_add(port ? &sets->ports : &sets->protocols, b->a,
					      grant->origin);

			at = put_proto(put_ip(put_ip(at, src), dst), match.proto);
			if (port)
				put_port(at, match.low);
		}
}

void build_pairs(struct builder *b, const grant_list *grants, enum way way, grouped_list *grouped)
{
	struct pair_sets v4 = new_pair_sets(b, 4, way), v6 = new_pair_sets(b, 6, way);

	set_reserve(&v4.ports, b->a, grants->n);
	list_each (grant, grants) {
		bool few = !grant->iface && grant_is_few_pairs(grant);
		bool is_v6 = grant->to->n && grant->to->items[0].net.ip.family == 6;

		for (uint32_t m = 0; m < grant->n_matches; m++) {
			struct traffic match = grant->matches[m];

			if (match_has_types(match))
				continue;
			if (few &&
			    (match_single_port(match) || (match.proto && match_every_port(match))))
				add_pairs(b, is_v6 ? &v6 : &v4, grant, match);
			else
				*list_add(b->a, grouped) = (struct grouped){grant, match};
		}
	}
	keep_set(b, &v4.ports);
	keep_set(b, &v4.protocols);
	keep_set(b, &v6.ports);
	keep_set(b, &v6.protocols);
}

void lookup_pairs(struct builder *b, struct chain *chain, enum way way, const char *target)
{
	const struct way_words *w = &ways[way];
	const enum set_role role = ways[way_of_sets(b, way)].pairs;
	uint8_t from = (uint8_t)w->source, to = (uint8_t)w->destination, port = (uint8_t)w->port;

	list_each (set, &b->rs->sets) {
		struct rule *rule;

		if (set->role != role)
			continue;
		rule = add_rule(b, chain, set->key[0] == FIELD_IP6 ? 6 : 4, NULL, NONE);
		if (set->n_key == 3)
			term_in(b, rule, set->name, from, to, LOAD_PROTO);
		else
			term_in(b, rule, set->name, from, to, LOAD_PROTO, port);
		term_name(b, rule, TERM_GOTO, target);
	}
}
