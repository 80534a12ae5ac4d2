/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/pace.h"

#include "app/daemon/triggers.h"

enum {
	GAP_MS = 100,	   /* between two passes; what comes in this time is collected */
	MAX_GAP_MS = 1000, /* the gap in a storm */
	WARM = 10,	   /* passes in a row that lengthen the gap */
	COOLING_MS = 500,  /* after this time one pass is forgotten */
};

struct pace pace_begin(void)
{
	return (struct pace){.cooled_ms = clock_ms(), .last_pass_ms = clock_ms() - MAX_GAP_MS};
}

static void cool_down(struct pace *p)
{
	int64_t forgotten = (clock_ms() - p->cooled_ms) / COOLING_MS;

	p->cooled_ms += forgotten * COOLING_MS;
	p->heat = p->heat > forgotten ? p->heat - forgotten : 0;
}

int64_t pace_pass_at(struct pace *p, uint32_t reasons)
{
	int64_t gap;

	if (!reasons)
		return FOREVER;
	cool_down(p);
	gap = p->heat <= WARM ? GAP_MS : GAP_MS * (p->heat - WARM + 1);
	if (reasons & REASON_TARGET && p->heat <= WARM)
		gap = 0;
	return p->last_pass_ms + (gap > MAX_GAP_MS ? MAX_GAP_MS : gap);
}

void pace_note(struct pace *p, uint32_t reasons)
{
	p->heat += reasons != REASON_VERIFY;
	p->last_pass_ms = clock_ms();
}
