/* SPDX-License-Identifier: GPL-2.0-or-later */
/* \uXXXX in strings (RFC 8259 §7): characters above U+FFFF are two of them, a high and a low one.
 */
#pragma once

#include "base/base.h"

static inline int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* The number of \uXXXX at `at`, which is its backslash; -1: it is none. */
static inline int32_t escaped_unit(const char *at, const char *end)
{
	int32_t unit = 0;

	if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		if (hex_digit(at[i]) < 0)
			return -1;
		unit = unit << 4 | hex_digit(at[i]);
	}
	return unit;
}

static inline bool is_high(int32_t unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static inline bool is_low(int32_t unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}
