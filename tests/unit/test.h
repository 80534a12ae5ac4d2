/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmocka with its includes, and TEST: a sentence in snake case is the name. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TEST(sentence) static void sentence(void **state __attribute__((unused)))
