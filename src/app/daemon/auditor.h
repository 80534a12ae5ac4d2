/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What egress deny and isolation strict would stop (core/logged/audit.h), over restarts: it is
 * saved beside the state file at most once a minute, and at the end. A killed daemon loses no more
 * than that minute.
 */
#pragma once

#include "app/console/options.h"
#include "app/pass/pass.h"
#include "core/logged/audit.h"

struct auditor {
	struct audit audit;
	int64_t save_ms; /* when it is saved next; 0: nothing is to be saved */
};

void auditor_load(struct auditor *auditor, const struct options *options);
/* After each pass. */
void auditor_follow(struct auditor *auditor, const struct generation *g);
/* Saves it where that is due, and says when it wants to be called again; -1: never. */
int64_t auditor_run(struct auditor *auditor, const struct options *options);
void auditor_close(struct auditor *auditor, const struct options *options);
