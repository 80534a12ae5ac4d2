/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One packet of ours, followed through the hooks of a namespace (meta nftrace, NFT_MSG_TRACE): the
 * tables that have it told of and end it before anybody gets it, and the kernel's messages about
 * it. Pure.
 */
#pragma once

#include "base/ip.h"
#include "core/nft/nft.h"

/*
 * What no other packet has, and no translation changes: TCP's sequence number, SCTP's tag, or the
 * data of UDP and of an echo; and the IP header's id, or in IPv6 the end of its flow label.
 */
struct probe {
	const char *table; /* of its own tables, TRACE_TABLE and a number */
	uint8_t family;	   /* 4, 6 */
	uint8_t proto;	   /* in IPv6, of an echo: ICMPv6 */
	uint16_t id;	   /* not 0: the kernel would choose another */
	uint32_t token;
};

#define TRACE_TABLE TABLE_NAME "_trace"
/* Where the token stands in the protocol's header; 0: nothing can be sent by it. */
uint32_t probe_token_offset(uint8_t proto);

/*
 * The tables: they go with the socket that sends this, whatever becomes of who opened it. Family
 * inet; bridged: also of family bridge, for what stays within one.
 */
void trace_watch(struct nft_batch *batch, struct arena *a, const struct probe *probe, bool bridged);

/* How far it came, told by our own chains at the beginning and the end of the hooks. */
enum trace_place {
	TRACE_NOWHERE,	   /* nobody saw it */
	TRACE_ENTERED,	   /* prerouting or output began */
	TRACE_PREROUTED,   /* prerouting ended: the kernel looks for a route */
	TRACE_INPUT,	   /* it is for this host */
	TRACE_FORWARD,	   /* forward began */
	TRACE_FORWARDED,   /* forward ended */
	TRACE_POSTROUTING, /* began */
	TRACE_RECEIVED,	   /* the end of input: this host would have got it */
	TRACE_LEFT,	   /* the end of postrouting: it would have left */
};

enum trace_verdict {
	TRACE_CONTINUES,
	TRACE_ACCEPTS,
	TRACE_DROPS,
	TRACE_TAKEN, /* stolen, or queued to a program */
	TRACE_JUMPS,
	TRACE_GOES,
	TRACE_RETURNS,
};
extern const char *const trace_verdicts[]; /* nft's words */

/* What one rule, or the policy of a chain, did to it. */
struct trace_step {
	uint8_t family; /* NFPROTO_*, of the table */
	const char *table, *chain;
	uint64_t handle; /* of the rule; 0: the policy */
	enum trace_verdict verdict;
	const char *to; /* target of a jump or goto; otherwise NULL */
};

struct trace {
	LIST(struct trace_step) steps; /* in other people's chains, and in table harborwall */
	enum trace_place place;
	uint32_t in, out;   /* interfaces' indexes; 0: not seen */
	struct ip src, dst; /* as it was seen last */
	uint16_t port;	    /* … to which it went; 0: it has none */
	LIST(uint32_t) ids; /* the kernel's, of its way through one hook each */
};

/* Adds what a message tells of the packet; what it tells of others is nothing. */
void trace_take(struct trace *t, struct arena *a, const struct probe *probe, const void *nlmsg);
/* Nothing more is to come: somebody ended it, or we, who are the last. */
bool trace_is_over(const struct trace *t);
/* Nobody saw it yet, or it lies in the queue of a program. */
bool trace_is_waiting(const struct trace *t);
/* The rule or policy that dropped or took it; NULL: none did. */
const struct trace_step *trace_end(const struct trace *t);
