/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one file opens and closes against another, in words and as JSON. Pure. */
#pragma once

#include "base/buf.h"
#include "core/reach/diff.h"

/* A line without its end: "opens web -> db 5432/tcp", with the policy. */
void print_change(struct buf *out, const struct reach *reach, const struct change *change);
/* The same without "opens". */
void print_change_words(struct buf *out, const struct reach *reach, const struct change *change);
/* The same as a JSON object, without an end of line. */
void print_change_json(struct buf *out, const struct reach *reach, const struct change *change);
