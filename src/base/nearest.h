/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Did you mean": of a few names the one that somebody probably meant. */
#pragma once

#include "base/base.h"

/* Its index, or NONE. Each name stands first in its record of `stride` bytes. */
uint32_t nearest(const char *word, const void *records, size_t stride, size_t n);
