/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The line of the log about what a new file opens and closes. */
#pragma once

#include "app/pass/pass.h"

/*
 * p: a pass of `after`, compiled. Large files are not compared: for so long nothing would be
 * healed.
 */
void flows_told(const struct generation *before, const struct generation *after,
		const struct pass *p);
