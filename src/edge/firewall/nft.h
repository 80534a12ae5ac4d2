/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nf_tables in a namespace: reads our whole table, and commits changes in one transaction. */
#pragma once

#include "core/nft/nft.h"
#include "core/plan/tally.h"
#include "core/state/state.h"
#include "edge/netlink/netns.h"

/*
 * Reads our table. have->exists is false if it is not there. Reads again if other writers
 * interrupt. A table with more than ns->most_bytes is odd. err->code E2BIG: not read before
 * ns->until_ms. written: sets whose elements are known, because our own transaction wrote them;
 * NULL: none.
 */
MUST_CHECK bool fw_nft_read(struct ruleset *have, struct arena *a, const struct ns *ns,
			    const struct ruleset *written, struct error *err);
/* Our table of family bridge. */
MUST_CHECK bool fw_nft_read_bridge(struct ruleset *have, struct arena *a, const struct ns *host,
				   struct error *err);
/*
 * Reads the chains of another program's table, and the rules of the named ones (the list ends with
 * NULL). have->exists is false if there is no such table.
 */
MUST_CHECK bool fw_nft_read_chains(struct ruleset *have, struct arena *a, const struct ns *ns,
				   uint8_t family, const char *table, const char *const names[],
				   struct error *err);
/*
 * Reads the chains and sets of another program's table, with rules and elements if is_wanted says
 * so for the name. have->exists is false if there is no such table.
 */
MUST_CHECK bool fw_nft_read_some(struct ruleset *have, struct arena *a, const struct ns *ns,
				 uint8_t family, const char *table,
				 bool (*is_wanted)(const char *name), struct error *err);
/* Every chain of every table, without rules. */
MUST_CHECK bool fw_nft_list_chains(listed_chains *chains, struct arena *a, const struct ns *ns,
				   struct error *err);
/*
 * The number of the last transaction in the namespace. While it is the same, what was read is
 * current.
 */
MUST_CHECK bool fw_nft_generation(uint32_t *generation, const struct ns *ns, struct error *err);
/*
 * Adds the counters of our table's rules and elements. If it fails it may have added a part of
 * them. err->code EINTR: somebody changed the table meanwhile.
 */
MUST_CHECK bool fw_nft_tally(struct tally *tally, const struct ns *ns, const struct ruleset *want,
			     struct error *err);
/* Whether the kernel would take the batch: it looks at all of it, and changes nothing. */
MUST_CHECK bool fw_nft_try(const struct ns *ns, const struct nft_batch *batch, struct error *err);
/*
 * Sends a batch and reads the acknowledgement. All or nothing. If the kernel refuses, *origin is
 * the policy of the refused message, or NONE. An empty batch sends nothing.
 */
/* How many transactions of ours the kernel has taken, in all namespaces. */
uint64_t fw_nft_transactions(void);
MUST_CHECK bool fw_nft_commit(const struct ns *ns, const struct nft_batch *batch, uint32_t *origin,
			      struct error *err);
