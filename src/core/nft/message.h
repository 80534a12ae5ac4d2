/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One function for each message of a transaction (linux/netfilter/nf_tables.h). Each appends to a
 * batch, and keeps within the kernel's 16-bit attribute length. Pure.
 */
#pragma once

#include "core/nft/nft.h"

void nft_add_table(struct nft_batch *batch, struct arena *a);
/*
 * The table belongs to the socket that sends this: it goes with the socket, and no other process
 * can change it (Linux 5.12).
 */
void nft_add_own_table(struct nft_batch *batch, struct arena *a);
void nft_delete_table(struct nft_batch *batch, struct arena *a);
/* id: any number that is unique in the batch */
void nft_add_set(struct nft_batch *batch, struct arena *a, const struct set *set, uint32_t id);
/*
 * NFTA_SET_FLAGS of a set of this shape, and the lengths of its key and data as the kernel counts
 * them.
 */
uint32_t nft_set_flags(const struct set *set);
uint32_t nft_set_key_bytes(const struct set *set);
uint32_t nft_set_data_bytes(const struct set *set);
void nft_delete_set(struct nft_batch *batch, struct arena *a, const struct set *set);
/*
 * Adds the elements whose bit in `picked` is set; NULL: all. Splits them into several messages as
 * needed.
 */
void nft_add_elements(struct nft_batch *batch, struct arena *a, const struct set *set,
		      const uint8_t *picked);
void nft_delete_elements(struct nft_batch *batch, struct arena *a, const struct set *set,
			 const uint8_t *picked);
void nft_add_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain);
/* Deletes all rules of a chain. */
void nft_flush_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain);
void nft_delete_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain);
/* before: the handle of the rule to insert before, or one of these */
#define NFT_AT_END 0
#define NFT_AT_TOP UINT64_MAX
void nft_add_rule(struct nft_batch *batch, struct arena *a, const struct chain *chain,
		  const struct rule *rule, uint64_t before);
void nft_delete_rule(struct nft_batch *batch, struct arena *a, const struct chain *chain,
		     const struct rule *rule);
