/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rules dropped last, for the status page: who wanted what, and what explains it. */
#pragma once

#include "core/logged/journal.h"

/* "no policy lets web reach api 80/tcp" */
const char *drop_text(struct arena *a, const struct config *config, const struct logged *logged);
void drops_print(struct buf *out, const struct journal *journal, const struct config *config);
/* A list, without its name. */
void drops_print_json(struct buf *out, const struct journal *journal, const struct config *config);
