/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stays in one network with isolation audit. Of frames that pass from port to port of its
 * bridge, where no connection tracking sees them: which begin a connection. Of TCP the kernel
 * reports the first frame; of all else it reports some, replies among them. And which connections
 * policies let through once the network is strict. Tables of fixed size: what finds no room takes
 * another's. Pure: the time is an argument.
 */
#pragma once

#include "core/logged/logged.h"
#include "core/ruleset/ruleset.h"

#include <time.h>

enum {
	FRAMES_TALKS = 1024,
	FRAMES_ALLOWED = 256,
	FRAMES_LIVE = 120, /* seconds without a frame after which a talk begins anew */
	FRAMES_CHECKS =
		50000, /* policies that are looked at for a share of the sources, a second */
};

struct frames {
	struct talk {
		struct ip src, dst; /* as its first frame went; family 0: none */
		uint16_t sport, port;
		uint8_t proto;
		time_t last;
	} talks[FRAMES_TALKS];
	/* What policies of the file in force let through, and need not be looked up again. */
	struct logged allowed[FRAMES_ALLOWED];
	time_t second;
	uint32_t checks[AUDIT_SHARES]; /* in it */
};

/*
 * True: the frame is the first one of a talk. One that looks like a reply to a talk whose beginning
 * nobody saw, from a port below the ephemeral ones (32768) to one of these, is turned around.
 */
bool frames_begin(struct frames *frames, struct logged *logged, time_t now);

/* Whether policies let it through costs time that grows with their number. */
bool frames_were_allowed(const struct frames *frames, const struct logged *logged);
void frames_note_allowed(struct frames *frames, const struct logged *logged);
/* False: this share of the sources has had its second's look at policies. */
bool frames_may_check(struct frames *frames, const struct logged *logged, uint32_t n_policies,
		      time_t now);
