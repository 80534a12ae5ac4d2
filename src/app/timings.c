/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/timings.h"

#include <stdio.h>
#include <time.h>

static bool enabled;

void timings_enable(bool on)
{
	enabled = on;
}

int64_t timing_start(void)
{
	struct timespec t;

	if (!enabled)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void timing_stop(const char *stage, int64_t start)
{
	if (enabled)
		fprintf(stderr, "timing %s %.3f\n", stage, (double)(timing_start() - start) / 1e6);
}
