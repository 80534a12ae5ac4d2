/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One function for each expression of a rule (linux/netfilter/nf_tables.h); each appends to a list
 * of them. What is loaded, compared and stored is in register 1 where no register is given. Pure.
 */
#pragma once

#include "base/buf.h"

/* The n-th 32-bit word of the registers, numbered as the kernel dumps it. */
uint32_t expr_register(uint32_t word);

void expr_load_meta(struct buf *b, uint32_t key, uint32_t reg);
void expr_store_meta(struct buf *b, uint32_t key);
void expr_load_ct(struct buf *b, uint32_t key);
void expr_store_ct(struct buf *b, uint32_t key);
/* The port that the connection's first packet asked for. */
void expr_load_original_port(struct buf *b);
void expr_load_payload(struct buf *b, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg);
void expr_load_fib(struct buf *b, uint32_t result, uint32_t flags);
/* Of what is in register 2. */
void expr_hash(struct buf *b, uint32_t len, uint32_t modulus, uint32_t seed);

void expr_compare(struct buf *b, uint32_t op, const void *value, size_t len);
/* reg1 = (reg1 & mask) ^ xor */
void expr_bitwise(struct buf *b, const void *mask, const void * xor, uint32_t len);
/* into: the register that gets the data of a map; NFT_REG_VERDICT of one to verdicts; -1: a set. */
void expr_lookup(struct buf *b, const char *set, bool inverted, int into);

void expr_immediate(struct buf *b, uint32_t reg, const void *value, size_t len);
void expr_verdict(struct buf *b, int code, const char *chain); /* chain: may be NULL */
/* Addresses in register 1, ports in the given one; 0: none. */
void expr_nat(struct buf *b, uint32_t type, uint8_t family, uint32_t port_reg);
void expr_limit(struct buf *b, uint32_t packets); /* per second, and at once */
void expr_log(struct buf *b, uint16_t group, const char *prefix);
void expr_empty(struct buf *b, const char *name); /* counter, masq */
