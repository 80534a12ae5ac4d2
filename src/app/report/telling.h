/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pass did and found, as lines of the log. */
#pragma once

#include "app/pass/pass.h"

void tell_outcomes(const struct pass *p);
/*
 * Conflicts and waiting policies are said when they come or change, not in every pass; *said is the
 * hash of what was said last.
 */
void tell_findings(uint64_t *said, const struct pass *p);
