/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole files in, whole files out. Nothing is edited in place. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <sys/types.h>

/*
 * Appends the file's bytes to *out. Errors name the path: missing, a directory, longer than max
 * ("networks.json is larger than 64 MiB"), a pipe whose end does not come within 10 s, or so long.
 */
MUST_CHECK bool file_read(struct buf *out, const char *path, size_t max, struct error *err);
MUST_CHECK bool file_read_within(struct buf *out, const char *path, size_t max, int pipe_ms,
				 struct error *err);

/* Which file it is, and when it changed: another one, or one that was written to, differs. */
struct file_mark {
	uint64_t device, inode, size;
	int64_t changed_ns; /* st_ctim */
};
/* All zero where there is no such regular file. */
struct file_mark file_mark(const char *path);
/*
 * There are so many bytes, and they have this hash_large: read, not kept, and none behind them.
 * False also where they can't be read.
 */
bool file_has_hash(const char *path, uint64_t size, uint64_t hash);

/*
 * The file has the new text or the old one, never a part: a temporary beside it ("PATH.new") is
 * written, synced and renamed. Makes the folder if it is absent (one level).
 */
MUST_CHECK bool file_replace(const char *path, const char *text, size_t len, mode_t mode,
			     struct error *err);
