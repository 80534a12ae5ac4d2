/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order of records that are sorted by their bytes. */
#pragma once

#include "base/arena.h"

/*
 * The indexes of n records, `stride` bytes apart, sorted by the first `len` bytes of each; equal
 * ones stay in their order. Takes time in proportion to n and to the bytes in which any two differ.
 */
uint32_t *order_by_bytes(struct arena *a, const void *records, uint32_t n, size_t stride,
			 size_t len);
