/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/flowset/flow.h"

const flow_value flow_most[N_FLOW_FIELDS] = {
	[FLOW_DST] = ~(flow_value)0, [FLOW_SRC] = ~(flow_value)0, [FLOW_IN] = UINT32_MAX,
	[FLOW_PROTO] = UINT8_MAX,    [FLOW_PORT] = UINT16_MAX,
};

flow_value flow_value_of_ip(struct ip ip)
{
	if (ip.family == 4)
		return (flow_value)0xffff << 32 | ip_to_v4(ip);
	return (flow_value)ip_half(&ip, 0) << 64 | ip_half(&ip, 1);
}

struct ip flow_value_to_ip(flow_value value)
{
	struct ip ip = {.family = 6};

	if (value >> 32 == 0xffff)
		return ip_v4((uint32_t)value);
	for (int i = 15; i >= 0; i--, value >>= 8)
		ip.bytes[i] = (uint8_t)value;
	return ip;
}

struct flow_range flow_range_of_prefix(struct prefix prefix)
{
	return (struct flow_range){flow_value_of_ip(prefix_first(prefix)),
				   flow_value_of_ip(prefix_last(prefix))};
}

uint32_t flow_ranges_of_family(struct flow_range ranges[MOST_FAMILY_RANGES], uint8_t family)
{
	struct flow_range v4 = flow_range_of_prefix((struct prefix){ip_v4(0), 0});

	if (family == 4) {
		ranges[0] = v4;
		return 1;
	}
	ranges[0] = (struct flow_range){1, v4.low - 1}; /* :: is nobody's address */
	ranges[1] = (struct flow_range){v4.high + 1, flow_most[FLOW_SRC]};
	return 2;
}

int flow_range_by_low(const void *left, const void *right)
{
	const struct flow_range *a = left, *b = right;

	return a->low == b->low ? 0 : a->low < b->low ? -1 : 1;
}
