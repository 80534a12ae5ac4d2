/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nf_tables in a namespace: our table read whole, changes committed in one transaction. */
#pragma once

#include "core/compile/state.h"
#include "core/nft/nft.h"
#include "core/plan/tally.h"
#include "edge/netlink/netns.h"

/*
 * have->exists false if the table is not there. Retried while other writers interrupt the dump. A
 * table that holds more than ns->most_bytes is odd; err->code E2BIG: it was not read by
 * ns->until_ms.
 * written: sets whose elements are known, as our own transaction left them; NULL: none are.
 */
MUST_CHECK bool fw_nft_read(struct ruleset *have, struct arena *a, const struct ns *ns,
			    const struct ruleset *written, struct error *err);
/*
 * The chains of somebody else's table, and the rules of those that are named (a list that ends with
 * NULL). have->exists false if there is no such table.
 */
MUST_CHECK bool fw_nft_read_chains(struct ruleset *have, struct arena *a, const struct ns *ns,
				   uint8_t family, const char *table, const char *const names[],
				   struct error *err);
/*
 * The chains and sets of somebody else's table; rules and elements of those whose names matter.
 * have->exists false if there is no such table.
 */
MUST_CHECK bool fw_nft_read_some(struct ruleset *have, struct arena *a, const struct ns *ns,
				 uint8_t family, const char *table,
				 bool (*is_wanted)(const char *name), struct error *err);
/* Every chain of every table, without rules. */
MUST_CHECK bool fw_nft_list_chains(listed_chains *chains, struct arena *a, const struct ns *ns,
				   struct error *err);
/* The number of the last transaction in the namespace: what it was when we read, still holds. */
MUST_CHECK bool fw_nft_generation(uint32_t *generation, const struct ns *ns, struct error *err);
/*
 * Adds what our table's rules and elements counted. A false may have added a part of it:
 * err->code EINTR where somebody changed the table meanwhile.
 */
MUST_CHECK bool fw_nft_tally(struct tally *tally, const struct ns *ns, const struct ruleset *want,
			     struct error *err);
/*
 * Sends a finished batch and reads its ack. All or nothing. On refusal *origin is the policy
 * index of the refused message, or NONE. An empty batch sends nothing.
 */
/* How many transactions of ours the kernel has taken so far, in all namespaces. */
uint64_t fw_nft_transactions(void);
MUST_CHECK bool fw_nft_commit(const struct ns *ns, const struct nft_batch *batch, uint32_t *origin,
			      struct error *err);
