/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows one packet of ours through the hooks of a namespace (meta nftrace, NFT_MSG_TRACE): the
 * tables that trace it and drop it before anybody receives it, and the kernel's messages about it.
 * Pure.
 */
#pragma once

#include "base/ip.h"
#include "core/nft/nft.h"

/*
 * What identifies the packet, and no translation changes: TCP's sequence number, SCTP's tag, or the
 * data of UDP and of an echo request; and the IP id (in IPv6 the end of the flow label).
 */
struct probe {
	const char *table; /* table name: TRACE_TABLE and a number */
	uint8_t family;	   /* 4 or 6 */
	uint8_t proto;	   /* an IPv6 echo request is ICMPv6 */
	uint16_t id;	   /* not 0, which would make the kernel choose one */
	uint32_t token;
};

#define TRACE_TABLE TABLE_NAME "_trace"
/* Offset of the token in the protocol's header; 0: the protocol can't be traced. */
uint32_t probe_token_offset(uint8_t proto);

/*
 * Appends the tables of family inet. They are removed when the socket that sends this closes,
 * however its process ends. bridged: also of family bridge, for traffic within a bridge.
 */
void trace_watch(struct nft_batch *batch, struct arena *a, const struct probe *probe, bool bridged);

/* How far the packet came, reported by our own chains at both ends of the hooks. */
enum trace_place {
	TRACE_NOWHERE,	   /* nobody saw it */
	TRACE_ENTERED,	   /* entered prerouting or output */
	TRACE_PREROUTED,   /* left prerouting: the kernel looks up its route */
	TRACE_INPUT,	   /* entered input: it is for this host */
	TRACE_FORWARD,	   /* entered forward */
	TRACE_FORWARDED,   /* left forward */
	TRACE_POSTROUTING, /* entered postrouting */
	TRACE_RECEIVED,	   /* left input: this host would have received it */
	TRACE_LEFT,	   /* left postrouting: it would have been sent */
};

enum trace_verdict {
	TRACE_CONTINUES,
	TRACE_ACCEPTS,
	TRACE_DROPS,
	TRACE_TAKEN, /* stolen by a module, or queued to a program */
	TRACE_JUMPS,
	TRACE_GOES,
	TRACE_RETURNS,
};
extern const char *const trace_verdicts[]; /* as nft prints it */

/* The effect of one rule, or of a chain's policy, on the packet. */
struct trace_step {
	uint8_t family; /* NFPROTO_* of the table */
	const char *table, *chain;
	uint64_t handle; /* handle of the rule; 0: the chain's policy */
	enum trace_verdict verdict;
	const char *to; /* target of a jump or goto, else NULL */
};

struct trace {
	LIST(struct trace_step) steps; /* in other people's chains, and in table harborwall */
	enum trace_place place;
	uint32_t in, out;   /* indexes of the interfaces; 0: not seen */
	struct ip src, dst; /* source address when it was last seen */
	uint16_t port;	    /* destination port then; 0: it has none */
	LIST(uint32_t) ids; /* the kernel's trace ids, one for each hook */
};

/* Adds what a message reports about the packet. Ignores messages about other packets. */
void trace_take(struct trace *t, struct arena *a, const struct probe *probe, const void *nlmsg);
/* True if no more messages will come: somebody dropped it, or our last chain did. */
bool trace_is_over(const struct trace *t);
/* Nobody saw it yet, or it is in a program's queue. */
bool trace_is_waiting(const struct trace *t);
/* The rule or policy that dropped or took it; NULL: none. */
const struct trace_step *trace_end(const struct trace *t);
