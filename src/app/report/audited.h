/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the verb audit: what egress deny and strict would stop, and policies that would allow it. */
#pragma once

#include "core/logged/audit.h"

/*
 * blind: why nothing is seen, NULL: it is. The text's first word is "blind", "refused" or
 * "nothing", as the JSON's "state".
 */
void audited_print(struct buf *out, const struct audit *audit, const struct config *config,
		   const char *blind);
void audited_print_json(struct buf *out, const struct audit *audit, const struct config *config,
			const char *blind);
