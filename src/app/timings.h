/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --timings: how long each stage took, on stderr: "timing commit 0.87" (ms). Silent otherwise. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

void timings_enable(bool on);
int64_t timing_start(void); /* ns */
void timing_stop(const char *stage, int64_t start);
