/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One nf_tables table of ours, in one namespace: sets, maps, chains, rules. The compiler writes it,
 * the kernel's state is read back into it, and text, netlink messages and the difference of two are
 * made from it. Pure data; core/nft/nft.h gives it its two languages.
 *
 * Terms are what rules are made of: a rule is a list of terms, read from left to right, as in nft.
 *
 * In this room:
 *     ruleset.h          the table: types, and look-ups in it
 *     builder.h          rules, term by term, and sets
 *     sources.h, runs.h  sets that stand once: lists that policies name
 */
#pragma once

#include "base/arena.h"
#include "base/hash_index.h"
#include "base/ip.h"

#define TABLE_NAME "harborwall" /* family inet */

/*
 * Of nfnetlink_log, where the daemon listens; how much of a packet it gets: the headers; and of how
 * many: what a flood costs it is bounded there, in the kernel.
 */
enum { LOG_GROUP = 18519, LOG_SNAPLEN = 128, LOG_A_SECOND = 1000 };
/*
 * The same of what networks with egress audit begin. Sources share the reports of a second by a
 * hash of their address, so that a flood takes one share and not all.
 */
enum { AUDIT_GROUP = LOG_GROUP + 1, AUDIT_SHARES = 8 };
/* Why a packet is logged. */
#define LOG_ALLOWED    "harborwall: allow"
#define LOG_TRANSLATED "harborwall: dnat"
#define LOG_DROPPED    "harborwall: drop"
/*
 * What an audited network asks this host for, before anybody translates it; and what egress deny
 * would stop: forwarded, translated, to the host itself, with a borrowed source.
 */
#define LOG_AUDIT_ASKED	   "harborwall: audit asked"
#define LOG_AUDIT	   "harborwall: audit"
#define LOG_AUDIT_DNAT	   "harborwall: audit dnat"
#define LOG_AUDIT_HOST	   "harborwall: audit host"
#define LOG_AUDIT_BORROWED "harborwall: audit borrowed"
/*
 * What isolation strict would stop: forwarded into a network, begun there by this host, for a port
 * that a program of this host serves for a container. Of frames that pass from port to port of a
 * bridge and no connection tracking sees: the first of a TCP connection, and some of all others.
 */
#define LOG_AUDIT_INTO	  "harborwall: audit into"
#define LOG_AUDIT_BY_HOST "harborwall: audit by host"
#define LOG_AUDIT_SERVED  "harborwall: audit served"
#define LOG_AUDIT_FRAME	  "harborwall: audit frame"
#define LOG_AUDIT_SAMPLE  "harborwall: audit sample"

/* What a set's key or a map's data is made of; indexes field_types[]. */
enum field {
	FIELD_IP4,
	FIELD_IP6,
	FIELD_PROTO,   /* one byte */
	FIELD_PORT,    /* two bytes, network order */
	FIELD_ETHER,   /* six bytes, a MAC address */
	FIELD_IFNAME,  /* 16 bytes, NUL padded */
	FIELD_VERDICT, /* data of a map: the id of a struct verdict that the map knows */
};

struct field_type {
	const char *name; /* nft's: ipv4_addr, inet_service, … */
	uint8_t id;	  /* nft's TYPE_*, for NFTA_SET_KEY_TYPE (6 bits each) */
	uint8_t len;	  /* bytes; padded to 4 in a concatenation */
};
extern const struct field_type field_types[];

enum { MAX_FIELDS = 6, MAX_KEY = 48, MAX_DATA = 32 };

/* What an element of a verdict map does: jump (or goto) a chain. */
struct verdict {
	uint64_t id; /* of the words below: the element's data */
	bool go;     /* goto, not jump */
	const char *chain;
};
struct verdict verdict_to(bool go, const char *chain);

struct verdicts {
	LIST(struct verdict) list;
	struct hash_index by_id;
};

/* What a set is for, where others must know it. */
enum set_role {
	SET_OTHER,
	SET_ALLOW,     /* pairs that policies let through */
	SET_UNCOUNTED, /* the same for later packets, where the others count */
	SET_SOURCES,   /* who may come to one end */
	SET_LOGGED,    /* pairs whose new connections are logged */
	SET_LIFTED,    /* pairs that egress deny does not stop */
	SET_SENDERS, /* of strict networks, what the engine says: who sits where, what is published
		      */
};

struct set {
	const char *name;
	enum set_role role; /* of what was compiled */
	enum field key[MAX_FIELDS];
	uint8_t n_key;
	enum field data[MAX_FIELDS]; /* n_data 0: a set, not a map */
	uint8_t n_data;
	bool interval;
	bool counts;   /* every element counts the packets that find it */
	uint32_t size; /* declared: at least this many elements fit; 0: not declared */
	/*
	 * Elements: n records of set_stride() bytes, sorted by memcmp, no two equal. A record is
	 * the key, in an interval set the (inclusive) end of the key, then the data; every field
	 * padded with zeros to 4 bytes. Interval elements of one set never overlap.
	 */
	uint8_t *elements;
	uint32_t n, cap;
	uint32_t stride;   /* of one record, once there is one; 0 before */
	uint32_t *origins; /* policy index of each element, or NONE; NULL in what was read back */
	struct verdicts *verdicts; /* of a verdict map; NULL: none yet */
};

uint32_t set_key_len(const struct set *set);  /* padded */
uint32_t set_data_len(const struct set *set); /* padded; 0 for a set */
uint32_t set_stride(const struct set *set);
const uint8_t *set_element(const struct set *set, uint32_t i);
/*
 * Adds a record, all of which is to be written, unsorted; set_finish sorts, drops exact doubles
 * (the first origin stays), and moves what is left into its own arena.
 */
uint8_t *set_add(struct set *set, struct arena *a, uint32_t origin);
/* Room for so many of them in a set that has none yet: known sizes need no growing. */
void set_reserve(struct set *set, struct arena *a, uint32_t more);
/* The same for a set that is read back: nothing in it has an origin. */
uint8_t *set_add_read(struct set *set, struct arena *a);
void set_finish(struct set *set, struct arena *a);
static inline bool set_has_verdicts(const struct set *set)
{
	return set->n_data == 1 && set->data[0] == FIELD_VERDICT;
}

/* A verdict map knows what this id means from now on. */
void set_note_verdict(struct set *set, struct arena *a, struct verdict verdict);
/* NULL: it does not know it. */
const struct verdict *set_find_verdict(const struct set *set, uint64_t id);
/* All of it, in this arena, but for its origins. */
struct set set_copy(const struct set *set, struct arena *a);
/* A finished set holds this record (of its key: set_stride bytes). */
bool set_has(const struct set *set, const uint8_t *record);

/* Where a register gets its value: the parts of a lookup's key. */
enum load {
	LOAD_SADDR,
	LOAD_DADDR,
	LOAD_PROTO, /* meta l4proto */
	LOAD_SPORT, /* th sport */
	LOAD_DPORT, /* th dport */
	LOAD_IIFNAME,
	LOAD_OIFNAME,
	LOAD_ETHER_SADDR, /* the sender's MAC address */
	/* Of frames, in a table of family bridge: */
	LOAD_ARP_ETHER, /* whose an address is, as the sender says */
	LOAD_ARP_IP,
	LOAD_ND_TARGET, /* of a neighbour solicitation or advertisement */
};

enum term_kind {
	TERM_IIFNAME, /* name */
	TERM_OIFNAME,
	TERM_NOT_OIFNAME,
	TERM_SADDR, /* prefix */
	TERM_DADDR,
	TERM_PROTO, /* number: an IP protocol */
	TERM_SPORT, /* low, high */
	TERM_DPORT,
	TERM_SHARE,	     /* low, high: part `low` of `high` of all sources; number: the seed */
	TERM_ORIGINAL_DPORT, /* low: the port before a translation; high: 0, or up to there */
	TERM_ICMP_TYPE,	     /* low, high: of ICMP or ICMPv6; behind TERM_PROTO */
	TERM_TCP_BEGINS,     /* SYN without ACK; behind TERM_PROTO */
	TERM_CT_STATE,	     /* number: CT_* bits, any of them */
	TERM_CT_STATUS_DNAT,
	TERM_CT_UNCONFIRMED, /* the first packet of its connection */
	TERM_MARK_HAS,	     /* number: all of these bits are set */
	TERM_CT_MARK,	     /* number, mask: these bits of it are so */
	TERM_CT_DIRECTION,   /* number: 0 the way of the first packet, 1 its replies' */
	TERM_FIB_LOCAL,	     /* fib daddr type local */
	TERM_FIB_OWN,	     /* fib saddr type local: the source is an address of the host */
	TERM_FIB_FOREIGN,    /* fib saddr . iif oif missing: the way back is another interface */
	TERM_LOOKUP,	     /* name of a set, loads: the key is in it */
	TERM_LOOKUP_NOT,
	TERM_VMAP, /* name of a map to verdicts, loads: the verdict of the key's element */
	TERM_COUNTER,
	TERM_LIMIT,	  /* number: packets a second, and at once */
	TERM_LOG,	  /* name: the prefix, by which the reader tells why; number: the group */
	TERM_MARK_SET,	  /* number: bits to set, others stay */
	TERM_MARK_CLEAR,  /* number: bits to clear */
	TERM_CT_MARK_SET, /* number, mask: these bits of it are made so; mask 0: set */
	TERM_DNAT,	  /* prefix.ip; low, high: ports, 0 = keep */
	TERM_DNAT_MAP,	  /* name of a map to ip . port, loads */
	TERM_SNAT_SELF,	  /* snat to the packet's own source: keeps later masquerading off */
	TERM_MASQUERADE,
	TERM_ACCEPT,
	TERM_DROP,
	TERM_RETURN,
	TERM_JUMP, /* name of a chain */
	TERM_GOTO,
};

/* Bits of `ct state`, as NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h numbers them. */
enum { CT_INVALID = 1, CT_ESTABLISHED = 2, CT_RELATED = 4, CT_NEW = 8, CT_UNTRACKED = 64 };

struct term {
	enum term_kind kind;
	uint8_t n_loads;
	uint8_t loads[MAX_FIELDS]; /* enum load */
	uint16_t low, high;
	uint32_t number, mask;
	const char *name;
	struct prefix prefix;
};

struct rule {
	uint8_t family; /* 4 or 6: addresses and payload of that family only; 0: both */
	/* In a table of family bridge, of the frames it is about (ETH_P_*); 0: all frames. */
	uint16_t protocol;
	LIST(struct term) terms;
	const char *comment; /* into the kernel; stable (no policy index in it); or NULL */
	uint32_t origin;     /* policy index, or NONE; never into the kernel */
	/* The kernel's language: NFTA_RULE_EXPRESSIONS' payload, from nft_encode_rule or a dump. */
	const void *exprs;
	uint32_t exprs_len;
	uint64_t handle; /* only if it was read back */
};

/* Base chains have a type; hooks as in linux/netfilter.h (NF_INET_*). */
struct chain {
	const char *name;
	const char *type; /* "filter", "nat", or NULL for a regular chain */
	uint32_t hook;
	int32_t priority;
	bool drops; /* policy of a base chain: drop, not accept */
	LIST(struct rule) rules;
};

struct ruleset {
	uint8_t family; /* NFPROTO_*, 0: inet; table of what is read, NULL: ours */
	const char *table;
	bool exists;	 /* the table stands (of what was read); wanted (of what was compiled) */
	uint32_t flags;	 /* NFT_TABLE_F_*, of what was read */
	uint64_t handle; /* of what was read: a table that is made anew has another one */
	const char *odd; /* of an actual table: the first thing in it that we can't change by an
			    edit; or NULL */
	uint32_t uses;	 /* of what was read: objects of every kind that the table holds */
	LIST(struct set) sets;
	LIST(struct chain) chains; /* a chain stands before those that jump to it */
	struct name_index {
		struct hash_index index;
		uint32_t n; /* the first n of the list are in it */
	} sets_by_name, chains_by_name;
};

/* Finding by name is quick for what stood when this was called last. */
void ruleset_index(struct ruleset *rs, struct arena *a);
struct set *ruleset_find_set(const struct ruleset *rs, const char *name);
struct chain *ruleset_find_chain(const struct ruleset *rs, const char *name);
