/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ruleset/flows.h"

const struct icmp_types icmp_errors[] = {{4, 3, 3}, {4, 11, 12}, {6, 1, 4}};
const size_t n_icmp_errors = COUNT_OF(icmp_errors);

bool match_has_ports(struct traffic match)
{
	return protocol_has_ports(match.proto);
}

bool match_every_port(struct traffic match)
{
	return match.low == 0 && match.high == UINT16_MAX;
}

bool match_single_port(struct traffic match)
{
	return match_has_ports(match) && match.low == match.high;
}

bool flows_matter(const struct flows *flows)
{
	return flows->grants.n || flows->translations.n || flows->masquerades.n ||
	       flows->closed.n || flows->closed6.n || flows->bound.n || flows->denied.n;
}

enum translation_rank translation_rank(const struct translation *t)
{
	if (t->from.ip.family)
		return RANK_SOURCE;
	return t->iface && match_single_port(t->match) ? RANK_MAP : RANK_REST;
}

enum { FEW_PAIRS = 16 };

static bool all_single(const struct peers *peers)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (!prefix_is_single(peers->items[i].net))
			return false;
	return true;
}

bool grant_is_few_pairs(const struct grant *grant)
{
	return (uint64_t)grant->from->n * grant->to->n <= FEW_PAIRS && all_single(grant->from) &&
	       all_single(grant->to);
}
