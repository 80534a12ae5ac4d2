/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/timings.h"

#include <stdio.h>
#include <time.h>

static bool enabled;

void timings_enable(bool on)
{
	enabled = on;
}

static int64_t nanoseconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct moment timing_start(void)
{
	if (!enabled)
		return (struct moment){0};
	return (struct moment){nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_THREAD_CPUTIME_ID)};
}

void timing_stop(const char *stage, struct moment start)
{
	struct moment now = timing_start();

	if (enabled)
		fprintf(stderr, "timing %s %.3f %.3f\n", stage,
			(double)(now.wall - start.wall) / 1e6, (double)(now.cpu - start.cpu) / 1e6);
}
