/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of live connections when the rules change. The rules that stood before say which
 * connections were ours, and what the entry says is compared with them: marks are written by
 * others, too. Pure.
 */
#pragma once

#include "base/hash_index.h"
#include "core/compile/flows.h"

/* A connection as conntrack knows it: what was asked for, and who answers. */
struct connection {
	struct ip src, dst; /* of the first packet, before any translation */
	uint8_t proto;
	uint16_t dport;	   /* 0 where the protocol has none */
	struct ip answers; /* the source of replies: the target behind a translation */
	uint16_t answers_port;
	uint32_t mark;
};

/* Flows, to be asked about many connections. */
struct admission {
	const struct flows *flows;
	struct hash_index exact; /* allows of one address to one port of another */
	LIST(uint32_t) wide;	 /* the others */
};
struct admission admission_of(struct arena *a, const struct flows *flows);

struct revocation {
	const struct flows *now, *earlier; /* earlier: what rules that went admitted */
	/*
	 * What went is not known: then the mark alone says what was ours, as far as it leads into
	 * a managed network.
	 */
	bool blind;
	bool mutes; /* rules here drop what bears the mark `muted` */
	uint32_t admitted, bits, muted;
};

/* Rules that went admitted it. */
bool revocation_concerns(const struct revocation *r, const struct admission *earlier,
			 const struct connection *c);

enum fate {
	FATE_LIVES,
	/* The entry goes; the next packet makes a new one, which the rules do not let begin. */
	FATE_ENDS,
	/*
	 * The entry stays, marked, and no byte passes. Without it the server's next packet would
	 * make one the other way round: Docker lets containers begin what they like towards the
	 * outside, and what the client says then are replies.
	 */
	FATE_MUTED,
};

/* Of one that is concerned; now: of r->now. */
enum fate revocation_fate(const struct revocation *r, const struct admission *now,
			  const struct connection *c);
