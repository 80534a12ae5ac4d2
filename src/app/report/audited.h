/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What egress deny and strict networks would stop, and the policies that would allow it, for the
 * verb audit. */
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
