/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Large memory. What touches a page first pays for it, on a virtual machine as much as for hashing
 * fifty kilobytes: so it is made of huge pages where the kernel has any, smaller blocks are pieces
 * of such, and what is no longer used is kept for whoever comes next. One thread.
 */
#pragma once

#include "base/base.h"

/*
 * *size bytes, or at least so many where that is what is kept; *size becomes what there is.
 * *zeroed: nobody wrote into them yet.
 */
void *pages_take(size_t least, size_t *size, bool *zeroed);
/* It is kept for the next one. */
void pages_give(void *block, size_t size);
/* What is kept goes back to the kernel. */
void pages_trim(void);
/* What stands behind the first `used` bytes of a block takes no memory until it is written. */
void pages_let_go(void *block, size_t size, size_t used);
