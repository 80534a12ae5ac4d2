/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Large memory. What touches a page first pays for it, on a virtual machine as much as for hashing
 * fifty kilobytes: so what is no longer used is kept for whoever comes next, and from 2 MiB on it
 * is made of huge pages where the kernel has any. One thread.
 */
#pragma once

#include "base/base.h"

/* At least *size bytes, all zero; *size becomes what there is. */
void *pages_take(size_t *size);
/* The first `used` bytes of a block are not zero any more; it is kept for the next one. */
void pages_give(void *block, size_t size, size_t used);
/* What is kept goes back to the kernel. */
void pages_trim(void);
/* What stands behind the first `used` bytes of a block, all zero, takes no memory meanwhile. */
void pages_let_go(void *block, size_t size, size_t used);
