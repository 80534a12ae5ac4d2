/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/foreign/variant.h"

const char *const variant_names[] = {
	[VARIANT_NONE] = "none", [VARIANT_NFT] = "nft", [VARIANT_LEGACY] = "legacy"};

const char *variant_tool(enum variant variant, uint8_t family)
{
	static const char *const tools[][2] = {
		[VARIANT_NONE] = {"iptables", "ip6tables"},
		[VARIANT_NFT] = {"iptables-nft", "ip6tables-nft"},
		[VARIANT_LEGACY] = {"iptables-legacy", "ip6tables-legacy"}};

	return tools[variant][family == 6];
}
