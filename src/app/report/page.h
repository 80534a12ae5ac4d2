/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The status page, for people, programs and the service manager. */
#pragma once

#include "app/console/options.h"
#include "app/report/report.h"
#include "edge/host/status.h"

/* What is held and how to accept it, as one line; nothing if nothing is held. */
void page_held(struct buf *out, const struct report *r, const struct options *options);
/* One line for the service manager; g may be NULL. */
void page_line(struct buf *out, const struct report *r, const struct generation *g,
	       const struct options *options);
/* g may be NULL: no file was accepted yet. */
void page_print(struct buf *out, const struct report *r, enum status_page page,
		const struct generation *g, const struct options *options);
