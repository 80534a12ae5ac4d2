/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which live connections no policy admits any more. Pure. */
#pragma once

#include "core/compile/flows.h"

/* A connection as conntrack knows it: what was asked for, and who answers. */
struct connection {
	struct ip src, dst; /* of the first packet, before any translation */
	uint8_t proto;
	uint16_t dport;	   /* 0 where the protocol has none */
	struct ip answers; /* the source of replies: the target behind a translation */
	uint16_t answers_port;
};

/* Some policy says yes to it, directly or through a translation. */
bool flows_admit(const struct flows *flows, const struct connection *c);
