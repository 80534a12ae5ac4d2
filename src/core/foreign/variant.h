/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The iptables variants, and how our rules are recognized among others. */
#pragma once

#include <stdint.h>

#define IPT_PREFIX "HARBORWALL"	 /* names of our chains begin with it */
#define OUR_MARKER "harborwall:" /* comments of our rules in foreign chains begin with it */

enum variant {
	VARIANT_NONE,	/* no iptables filter table is in use */
	VARIANT_NFT,	/* iptables-nft: nf_tables tables `ip filter`, `ip raw` */
	VARIANT_LEGACY, /* iptables-legacy: x_tables */
};
extern const char *const variant_names[];
/* "iptables-nft", "ip6tables-legacy", …; family: 4 or 6 */
const char *variant_tool(enum variant variant, uint8_t family);
