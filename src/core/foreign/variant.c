/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/foreign/variant.h"

const char *const variant_names[] = {
	[VARIANT_NONE] = "none", [VARIANT_NFT] = "nft", [VARIANT_LEGACY] = "legacy"};
