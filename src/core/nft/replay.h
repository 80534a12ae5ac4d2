/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a table of ours, wanted or read back, says to the first packet of a connection: its rules
 * are run, as the kernel runs them. What a packet's entry in conntrack does not tell (routes, the
 * interface that it leaves by) matches nothing. Pure.
 */
#pragma once

#include "core/ruleset/interfaces.h"
#include "core/ruleset/ruleset.h"

struct replay;

/* Everything is kept in this arena. The ruleset is encoded or was read. NULL: it admits nothing. */
const struct replay *nft_replay_of(struct arena *a, const struct ruleset *rs);
/* Every interface that its rules ask for as the one that a packet comes in by; a name may recur. */
const interfaces *nft_replay_entrances(const struct replay *r);

/* Behind a translation, if there was one. */
struct replayed {
	struct ip src, dst;
	uint8_t proto;
	uint16_t dport; /* 0 where the protocol has none */
	const char *in; /* the interface that it came in by; NULL: one that no rule asks for */
};
bool nft_replay_admits(const struct replay *r, const struct replayed *packet);
