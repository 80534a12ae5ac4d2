/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the rules of a table of ours, wanted or read back, for the first packet of a connection, as
 * the kernel would. Facts that a conntrack entry lacks (routes, the outgoing interface) match
 * nothing. Pure.
 */
#pragma once

#include "core/flows/interfaces.h"
#include "core/ruleset/ruleset.h"

struct replay;

/*
 * Keeps everything in this arena. The ruleset must be encoded, or read from the kernel. NULL: it
 * admits nothing.
 */
const struct replay *nft_replay_of(struct arena *a, const struct ruleset *rs);
/* Every incoming interface that its rules name; a name may appear twice. */
const interfaces *nft_replay_entrances(const struct replay *r);

/* after the translation, if there was one */
struct replayed {
	struct ip src, dst;
	uint8_t proto;
	uint16_t dport; /* 0 if the protocol has no ports */
	const char *in; /* incoming interface; NULL: one that no rule names */
};
bool nft_replay_admits(const struct replay *r, const struct replayed *packet);
