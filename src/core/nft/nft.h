/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two languages of a ruleset: nft's text, and nf_tables netlink messages
 * (linux/netfilter/nf_tables.h), and the transaction that turns one ruleset into another.
 * Pure: writes bytes, reads bytes; edge/firewall/nft.h sends them.
 *
 * In this room:
 *     nft.h                encode, decode, diff, print
 *     message.h, nlattr.h  the bytes of a transaction
 *     flows.h              what a table translates
 *     replay.h             what a table says to a packet
 *     probe.h, trace.h     one packet that is traced, and what the kernel tells of it
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "core/ruleset/ruleset.h"

/* Fills exprs of every rule; a ruleset must be encoded before it is compared or sent. */
void nft_encode_ruleset(struct ruleset *rs, struct arena *a);

/*
 * A transaction: nlmsgs from NFNL_MSG_BATCH_BEGIN to _END. Only the last inner one asks for an ack:
 * the kernel says it of a batch that it took, and what it refuses it tells without being asked.
 */
struct nft_batch {
	struct buf bytes;
	LIST(uint32_t)
	origins;       /* policy index of message i, or NONE; its sequence number is seq0 + i */
	uint32_t seq0; /* sequence number of BATCH_BEGIN */
	size_t last;   /* where the last inner message begins in bytes; 0: there is none */
	uint32_t n_messages;
	uint8_t family;	   /* NFPROTO_*, and the table that the messages are for: ours unless */
	const char *table; /* set otherwise after nft_batch_begin */
};
void nft_batch_begin(struct nft_batch *batch, struct arena *a, uint32_t seq0);
void nft_batch_end(struct nft_batch *batch, struct arena *a);
/* Nothing between begin and end: not to be sent. */
bool nft_batch_is_empty(const struct nft_batch *batch);

/*
 * What a transaction does, for plan and for people: kept as references, made text only when
 * somebody reads it (nft_print_change).
 */
enum nft_object { NFT_TABLE, NFT_SET, NFT_ELEMENTS, NFT_CHAIN, NFT_RULE };

struct nft_change {
	char sign; /* '+' '-' */
	enum nft_object object;
	uint8_t family;		   /* NFPROTO_* of the table; 0: inet */
	const struct set *set;	   /* of a set, and of elements first … first + n - 1 */
	const struct chain *chain; /* of a chain or rule */
	const struct rule *rule;
	uint32_t first, n;
};
typedef LIST(struct nft_change) nft_changes;

/* Elements count one by one, everything else as one. */
uint32_t nft_changes_count(const nft_changes *changes);

/*
 * Appends the messages that turn have into want; none if they are equal. Sets and chains of the
 * same shape are edited (elements added and deleted, rules replaced one by one, so that the
 * counters of the others live on); where a set must change its shape or outgrows its size the table
 * is replaced in the same transaction. want.exists false: the table is deleted. Every '+' stands
 * before the '-' of what it replaces. Elements in `have` may be more roomy: a declared size counts
 * as equal while the elements fit and it is no more than 8 times what is wanted.
 */
void nft_diff(struct nft_batch *batch, nft_changes *changes, struct arena *a,
	      const struct ruleset *want, const struct ruleset *have);

/* Want stands in a table that is made anew: edits do not lead there. */
bool nft_replaces_table(const struct ruleset *want, const struct ruleset *have);

/*
 * Two transactions around that of nft_diff, which made these changes: without them a few packets of
 * established flows would meet Docker's raw drops. Both stay empty where there is no need. Both
 * must leave by one socket: what stands meanwhile is its own. Where the first is refused (before
 * Linux 5.12) the change is made all the same.
 */
#define NFT_GAP_TABLE TABLE_NAME "_meanwhile"
void nft_bridge_gap(struct nft_batch *before, struct nft_batch *behind, struct arena *a,
		    const struct ruleset *want, const struct ruleset *have,
		    const nft_changes *changes);

/* They say the same, whatever they counted. */
bool nft_same_rule(const struct rule *want, const struct rule *have);

/* Text that `nft -f` takes; the same table as the messages make. Appended. */
void nft_print(struct buf *out, const struct ruleset *rs);
/* One rule, without its comment and newline. */
void nft_print_rule(struct buf *out, const struct rule *rule);
/* "rule forward: ct state …", "element allow: …"; element i of the run where there are several. */
void nft_print_change(struct buf *out, const struct nft_change *change, uint32_t i);

/*
 * Dump replies (NFT_MSG_NEWSET, NEWSETELEM, NEWCHAIN, NEWRULE of our table) into a ruleset.
 * Elements are in the second arena until nft_decode_finish, which moves them into the first.
 */
MUST_CHECK bool nft_decode_message(struct ruleset *have, struct arena *a, struct arena *loose,
				   const void *nlmsg, struct error *err);
/* After the last message: sorts elements and pairs the ends of intervals. */
void nft_decode_finish(struct ruleset *have, struct arena *a);
