/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole files in, whole files out. Nothing is edited in place. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <sys/types.h>

/*
 * Appends the file's bytes to *out. Errors name the path: missing, a directory, longer than max
 * ("networks.json is larger than 64 MiB"), a pipe that stays silent for 10 s.
 */
MUST_CHECK bool file_read(struct buf *out, const char *path, size_t max, struct error *err);

/*
 * The file has the new text or the old one, never a part: a temporary beside it is written, synced
 * and renamed. Makes the folder if it is absent (one level).
 */
MUST_CHECK bool file_replace(const char *path, const char *text, size_t len, mode_t mode,
			     struct error *err);
