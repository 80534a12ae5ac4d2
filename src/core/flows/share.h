/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients of a translation with several targets, told apart by a hash of their address: the same
 * client has the same part of them, whatever the protocol, the port and the backend. Pure.
 */
#pragma once

#include "base/ip.h"

/*
 * Part `part` of `of` equal parts. The second division is of those whose target does not run: it
 * has another seed, so that they are spread over all that do.
 */
struct share {
	uint8_t part, of; /* of 0: everybody */
	uint8_t division; /* 0 or 1 */
	bool coarse;	  /* xt_cluster hashes only the first 32 bits of an IPv6 address */
};

uint32_t share_seed(struct share share);
/* An address of no family may be anybody's: it is in every part. */
bool share_has(struct share share, struct ip source);
