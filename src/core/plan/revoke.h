/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens to live connections when the rules change. The old rules say which connections we
 * admitted, and each conntrack entry is compared with them; marks alone are not reliable, because
 * others write them, too. Pure.
 */
#pragma once

#include "core/flows/flows.h"
#include "core/nft/replay.h"
#include "core/state/state.h"

/* A connection in conntrack: what was asked for, and who answers. */
struct connection {
	struct ip src, dst; /* of the first packet, before any translation */
	uint8_t proto;
	uint16_t dport;	   /* 0 if the protocol has none */
	struct ip answers; /* the source of replies: the target behind a translation */
	uint16_t answers_port;
	uint32_t mark;
	uint8_t icmp_type; /* of the first packet; 0: it is not ICMP */
};

/* The port, or the type of ICMP. */
uint16_t connection_asks(const struct connection *c);
bool connection_is_translated(const struct connection *c);
/* It exists because of this translation. */
bool connection_is_of(const struct connection *c, const struct translation *t);

/* What rules admit or admitted, indexed for look-ups of many connections. All-zero: nothing. */
struct admission {
	LIST(struct translation) translations;
	LIST(const struct replay *) tables;
	interfaces entrances; /* that some of it is bound to, each once, sorted */
	LIST(struct grant) grants;
	struct hash_index exact; /* one address to one port of another: indexes into `one` */
	LIST(struct exact_grant {
		uint64_t hash;
		uint32_t grant;
	})
	one;
	LIST(uint32_t) wide; /* the other grants */
};
/*
 * Add to the admission. Both copy into the arena what they need from the rules; flows must stay
 * valid.
 */
void admit_flows(struct admission *admission, struct arena *a, const struct flows *flows);
void admit_grants(struct admission *admission, struct arena *a, const struct grant *grants,
		  uint32_t n);
/* From a namespace's rules, of any backend, as read or as wanted and encoded. */
void admit_rules(struct admission *admission, struct arena *a, const struct space *space);

struct revocation {
	const struct flows *flows; /* the wanted flows */
	const struct admission *now, *earlier;
	/*
	 * The old rules are unknown: then the mark decides, for connections into a managed network.
	 */
	bool blind;
	bool mutes;			   /* rules here drop connections marked `muted` */
	uint32_t admitted, between, muted; /* marks; `between` two containers */
	/*
	 * Translations are new. Datagrams to these addresses of the namespace were not translated
	 * so far. A translation applies only to the first packet of an entry, so the entry must go.
	 */
	bool translates;
	/* What policies let networks with egress deny begin beside; NULL: nobody was denied
	 * anything. */
	const struct admission *lifted;
	const struct ip *own;
	uint32_t n_own;
};

/* The old rules admitted it, new ones would translate it, or egress deny closes it. */
bool revocation_concerns(const struct revocation *r, const struct connection *c);

enum fate {
	FATE_LIVES,
	/* Delete the entry. The next packet creates a new one, which the rules don't admit. */
	FATE_ENDS,
	/*
	 * Keep the entry and mark it, so that no packet passes. If it were deleted, the server's
	 * next packet would create an entry in the other direction: Docker lets containers begin
	 * connections to the outside, and the client's packets would be replies.
	 */
	FATE_MUTED,
};

/* Decides about a connection that revoke_concerns. */
enum fate revocation_fate(const struct revocation *r, const struct connection *c);
