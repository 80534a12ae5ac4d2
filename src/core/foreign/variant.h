/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The variants of iptables, and by what our rules are known among those of others. */
#pragma once

#define IPT_PREFIX "HARBORWALL"	 /* of the names of our chains */
#define OUR_MARKER "harborwall:" /* our rules in foreign chains have a comment that starts so */

enum variant {
	VARIANT_NONE,	/* no iptables filter table in play */
	VARIANT_NFT,	/* iptables-nft: nf_tables tables `ip filter`, `ip raw` */
	VARIANT_LEGACY, /* iptables-legacy: x_tables */
};
extern const char *const variant_names[];
