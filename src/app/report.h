/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon tells of itself: kept from pass to pass, printed for people, programs, scrapers.
 */
#pragma once

#include "app/options.h"
#include "app/pass.h"
#include "edge/status.h"

#include <time.h>

struct report {
	struct arena arena; /* of the last pass's findings */
	struct findings findings;
	char engine[64], backend[32], word[256];
	bool engine_up, refused, failed;
	uint32_t n_failed, n_conflicts;
	time_t loaded_at, passed_at;
	char reason[64], error[640];
	int64_t took_ms;
	uint64_t n_passes, n_passes_failed, n_repaired, n_revoked;
};

void report_pass(struct report *r, const struct pass *p, const char *reasons, int64_t took_ms);
void report_failure(struct report *r, const struct error *err, const char *reasons);
void report_release(struct report *r);
bool report_is_healthy(const struct report *r);
/* g may be NULL: no file was ever accepted. */
void report_print(struct buf *out, const struct report *r, enum status_page page,
		  const struct generation *g, const struct options *options);
