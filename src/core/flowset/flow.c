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

int flow_range_by_low(const void *left, const void *right)
{
	const struct flow_range *a = left, *b = right;

	return a->low == b->low ? 0 : a->low < b->low ? -1 : 1;
}
