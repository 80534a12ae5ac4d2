/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages of a transaction (linux/netfilter/nf_tables.h), one function each, appended to a
 * batch. None is longer than the kernel's 16-bit attribute length allows. Pure.
 */
#pragma once

#include "core/nft/nft.h"

void nft_add_table(struct nft_batch *batch, struct arena *a);
/* It goes with the socket that sends this, and nobody else can change it (Linux 5.12). */
void nft_add_own_table(struct nft_batch *batch, struct arena *a);
void nft_delete_table(struct nft_batch *batch, struct arena *a);
/* id: any number, unique in the batch */
void nft_add_set(struct nft_batch *batch, struct arena *a, const struct set *set, uint32_t id);
/* NFTA_SET_FLAGS of a set of this shape, and the bytes of its key and data as the kernel counts. */
uint32_t nft_set_flags(const struct set *set);
uint32_t nft_set_key_bytes(const struct set *set);
uint32_t nft_set_data_bytes(const struct set *set);
void nft_delete_set(struct nft_batch *batch, struct arena *a, const struct set *set);
/* Elements of set whose bit in picked is set; picked NULL: all. Split into messages as needed. */
void nft_add_elements(struct nft_batch *batch, struct arena *a, const struct set *set,
		      const uint8_t *picked);
void nft_delete_elements(struct nft_batch *batch, struct arena *a, const struct set *set,
			 const uint8_t *picked);
void nft_add_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain);
/* All its rules go. */
void nft_flush_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain);
void nft_delete_chain(struct nft_batch *batch, struct arena *a, const struct chain *chain);
/* before: handle of the rule to stand in front of, or one of these */
#define NFT_AT_END 0
#define NFT_AT_TOP UINT64_MAX
void nft_add_rule(struct nft_batch *batch, struct arena *a, const struct chain *chain,
		  const struct rule *rule, uint64_t before);
void nft_delete_rule(struct nft_batch *batch, struct arena *a, const struct chain *chain,
		     const struct rule *rule);
