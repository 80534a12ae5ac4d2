/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The metrics page: text format of Prometheus, 0.0.4. */
#pragma once

#include "app/report/report.h"

/* g may be NULL. */
void metrics_print(struct buf *out, const struct report *r, const struct generation *g);
