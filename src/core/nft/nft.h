/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ruleset as nft text and as nf_tables netlink messages (linux/netfilter/nf_tables.h), and the
 * transaction from one ruleset to another. Pure: bytes in, bytes out; edge/firewall/nft.h sends
 * them.
 *
 * In this room:
 *     nft.h                encode, decode, diff, print
 *     message.h, nlattr.h  the bytes of a transaction
 *     expr.h               the bytes of a rule
 *     flows.h              the translations of a table
 *     replay.h             runs a table's rules for a packet
 *     probe.h, trace.h     one traced packet, and the kernel's reports about it
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "core/ruleset/ruleset.h"

/* Fills `exprs` of every rule. A ruleset must be encoded before it is compared or sent. */
void nft_encode_ruleset(struct ruleset *rs, struct arena *a);

/*
 * A transaction: netlink messages from NFNL_MSG_BATCH_BEGIN to _END. Only the last inner message
 * asks for an acknowledgement: it says that the kernel accepted the batch. Errors are reported
 * without being asked for.
 */
struct nft_batch {
	struct buf bytes;
	LIST(uint32_t)
	origins; /* policy index of message i, or NONE; the sequence number of message i is seq0 + i
		  */
	uint32_t seq0; /* sequence number of BATCH_BEGIN */
	size_t last;   /* offset of the last inner message in bytes; 0: there is none */
	uint32_t n_messages;
	uint8_t family;	   /* family and table of the messages: our table, unless */
	const char *table; /* changed after nft_batch_begin */
	uint32_t other;	   /* the first message of another family; 0: there is none */
};
void nft_batch_begin(struct nft_batch *batch, struct arena *a, uint32_t seq0);
/* What follows is of our table of another family. */
void nft_batch_other_family(struct nft_batch *batch, uint8_t family);
void nft_batch_end(struct nft_batch *batch, struct arena *a);
/* The batch has no inner message and need not be sent. */
bool nft_batch_is_empty(const struct nft_batch *batch);

/*
 * One change of a transaction, for the plan. It keeps references and becomes text only when
 * somebody reads it (nft_print_change).
 */
enum nft_object { NFT_TABLE, NFT_SET, NFT_ELEMENTS, NFT_CHAIN, NFT_RULE };

struct nft_change {
	char sign; /* '+' added, '-' removed */
	enum nft_object object;
	uint8_t family;		   /* NFPROTO_* of the table; 0: inet */
	const struct set *set;	   /* of a set and of elements first … first + n - 1 */
	const struct chain *chain; /* of a chain or rule */
	const struct rule *rule;
	uint32_t first, n;
};
typedef LIST(struct nft_change) nft_changes;

/* Number of changes: each element counts as one, everything else as one. */
uint32_t nft_changes_count(const nft_changes *changes);

/*
 * Appends the messages that turn `have` into `want`; none if they are equal. Sets and chains of the
 * same shape are edited: elements are added and deleted, rules are replaced one by one, and other
 * counters survive. If a set changes its shape or outgrows its size, the table is replaced in the
 * same transaction. If want.exists is false, the table is deleted. Every '+' comes before the '-'
 * of what it replaces. A set of `have` may be larger: its size counts as equal while the elements
 * fit and it is at most 8 times the wanted size.
 */
void nft_diff(struct nft_batch *batch, nft_changes *changes, struct arena *a,
	      const struct ruleset *want, const struct ruleset *have);

/* True if `want` needs a new table because edits can't reach it. */
bool nft_replaces_table(const struct ruleset *want, const struct ruleset *have);

/*
 * Two transactions around that of nft_diff, which made these changes. Without them a few packets of
 * established flows would meet Docker's raw drops. Both are empty if they are not needed. Both must
 * be sent by the same socket, which owns the temporary table. If the kernel refuses the first
 * (before Linux 5.12), the change is made all the same.
 */
#define NFT_GAP_TABLE TABLE_NAME "_meanwhile"
void nft_bridge_gap(struct nft_batch *before, struct nft_batch *behind, struct arena *a,
		    const struct ruleset *want, const struct ruleset *have,
		    const nft_changes *changes);

/* True if the rules are equal, whatever their counters say. */
bool nft_same_rule(const struct rule *want, const struct rule *have);

/* Appends text that `nft -f` takes: the same table as the messages create. */
void nft_print(struct buf *out, const struct ruleset *rs);
/* One rule without its comment and newline. */
void nft_print_rule(struct buf *out, const struct rule *rule);
/* "rule forward: ct state …", "element allow: …"; of several elements, element i. */
void nft_print_change(struct buf *out, const struct nft_change *change, uint32_t i);

/*
 * Adds a dump reply (NFT_MSG_NEWSET, NEWSETELEM, NEWCHAIN, NEWRULE of our table) to a ruleset.
 * Elements live in the second arena until nft_decode_finish moves them to the first.
 */
MUST_CHECK bool nft_decode_message(struct ruleset *have, struct arena *a, struct arena *loose,
				   const void *nlmsg, struct error *err);
/* Call after the last message: sorts the elements and pairs the ends of intervals. */
void nft_decode_finish(struct ruleset *have, struct arena *a);
