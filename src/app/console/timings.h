/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --timings: how long each stage took, on stderr: "timing commit 0.870 0.851" (ms of the clock, ms
 * of this thread on a processor). Silent otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

void timings_enable(bool on);
/* Nanoseconds of the clock, and of this thread on a processor. */
struct moment {
	int64_t wall, cpu;
};

struct moment timing_start(void);
void timing_stop(const char *stage, struct moment start);
/* Adds up a stage that has many parts; printed as one, before the next stage ends. */
void timing_part(const char *stage, struct moment start);
