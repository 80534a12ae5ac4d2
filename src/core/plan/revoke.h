/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of live connections when the rules change. The rules that stood before say which
 * connections were ours, and what the entry says is compared with them: marks are written by
 * others, too. Pure.
 */
#pragma once

#include "core/compile/state.h"
#include "core/nft/replay.h"
#include "core/ruleset/flows.h"

/* A connection as conntrack knows it: what was asked for, and who answers. */
struct connection {
	struct ip src, dst; /* of the first packet, before any translation */
	uint8_t proto;
	uint16_t dport;	   /* 0 where the protocol has none */
	struct ip answers; /* the source of replies: the target behind a translation */
	uint16_t answers_port;
	uint32_t mark;
};

bool connection_is_translated(const struct connection *c);
/* The translation made it what it is. */
bool connection_is_of(const struct connection *c, const struct translation *t);

/* What rules admit, or admitted: to be asked about many connections. All-zero: nothing. */
struct admission {
	LIST(struct translation) translations;
	LIST(const struct replay *) tables;
	LIST(struct grant) grants;
	struct hash_index exact; /* of one address to one port of another: places in `one` */
	LIST(struct exact_grant {
		uint64_t hash;
		uint32_t grant;
	})
	one;
	LIST(uint32_t) wide; /* the other grants */
};
/* These, too. Both keep in the arena what they need of the rules; flows must live on. */
void admit_flows(struct admission *admission, struct arena *a, const struct flows *flows);
/* In whichever language the rules of a namespace are: what was read, or is wanted and encoded. */
void admit_rules(struct admission *admission, struct arena *a, const struct space *space);

struct revocation {
	const struct flows *flows; /* that are wanted now */
	const struct admission *now, *earlier;
	/*
	 * What went is not known: then the mark alone says what was ours, as far as it leads into
	 * a managed network.
	 */
	bool blind;
	bool mutes;			   /* rules here drop what bears the mark `muted` */
	uint32_t admitted, between, muted; /* marks; `between` two containers */
	/*
	 * Translations came: datagrams to these addresses of the namespace that went untranslated
	 * so far are to be translated, which happens to the first packet of an entry only.
	 */
	bool translates;
	const struct ip *own;
	uint32_t n_own;
};

/* Rules that went admitted it, or new ones would translate it. */
bool revocation_concerns(const struct revocation *r, const struct connection *c);

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

/* Of one that is concerned. */
enum fate revocation_fate(const struct revocation *r, const struct connection *c);
