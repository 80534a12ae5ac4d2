/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pass did and found, as lines of the log. */
#pragma once

#include "app/pass/pass.h"

void tell_outcomes(const struct pass *p);
/*
 * Logs conflicts and waiting policies when they appear or change, not in every pass. *said: hash of
 * what was logged last.
 */
void tell_findings(uint64_t *said, const struct pass *p);
