/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/console/timings.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool enabled;
static struct {
	const char *stage; /* the stage that is being timed; NULL: none */
	struct moment spent;
} parts;

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

static void say(const char *stage, struct moment spent)
{
	fprintf(stderr, "timing %s %.3f %.3f\n", stage, (double)spent.wall / 1e6,
		(double)spent.cpu / 1e6);
}

static void say_parts(void)
{
	if (parts.stage)
		say(parts.stage, parts.spent);
	parts.stage = NULL;
	parts.spent = (struct moment){0};
}

void timing_part(const char *stage, struct moment start)
{
	struct moment now = timing_start();

	if (!enabled)
		return;
	if (parts.stage && strcmp(parts.stage, stage) != 0)
		say_parts();
	parts.stage = stage;
	parts.spent.wall += now.wall - start.wall;
	parts.spent.cpu += now.cpu - start.cpu;
}

void timing_stop(const char *stage, struct moment start)
{
	struct moment now = timing_start();

	if (!enabled)
		return;
	say_parts();
	say(stage, (struct moment){now.wall - start.wall, now.cpu - start.cpu});
}
