/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the next pass may be made: at once, but not too often in a storm. */
#pragma once

#include <stdint.h>

struct pace {
	int64_t last_pass_ms, cooled_ms;
	int64_t heat; /* recent passes, not yet forgotten */
};

struct pace pace_begin(void);
/* In ms; FOREVER without a reason. reasons: enum reason */
int64_t pace_pass_at(struct pace *pace, uint32_t reasons);
/* A pass was made for these reasons. */
void pace_note(struct pace *pace, uint32_t reasons);
