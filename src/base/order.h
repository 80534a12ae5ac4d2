/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sorts records by their bytes. */
#pragma once

#include "base/arena.h"

/*
 * Returns the indexes of n records, `stride` bytes apart, sorted by the first `len` bytes of each;
 * stable. The time grows with n and with the number of bytes that differ.
 */
uint32_t *order_by_bytes(struct arena *a, const void *records, uint32_t n, size_t stride,
			 size_t len);
