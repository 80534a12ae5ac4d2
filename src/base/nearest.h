/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Did you mean": the name that somebody probably meant. */
#pragma once

#include "base/base.h"

/* Returns an index, or NONE. Records are `stride` bytes apart and begin with the name. */
uint32_t nearest(const char *word, const void *records, size_t stride, size_t n);
