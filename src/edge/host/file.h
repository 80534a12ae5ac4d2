/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes whole files. Nothing is edited in place. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <sys/types.h>

/*
 * Appends the file's bytes to *out. Errors name the path: it is missing, a directory, longer than
 * max ("networks.json is larger than 64 MiB"), or a pipe that does not end within 10 s (or
 * pipe_ms).
 */
MUST_CHECK bool file_read(struct buf *out, const char *path, size_t max, struct error *err);
MUST_CHECK bool file_read_within(struct buf *out, const char *path, size_t max, int pipe_ms,
				 struct error *err);

/* Identifies a file and its last change: a replaced or changed file has another mark. */
struct file_mark {
	uint64_t device, inode, size;
	int64_t changed_ns; /* st_ctim */
};
/* All zero if there is no such regular file. */
struct file_mark file_mark(const char *path);
/*
 * True: the file has exactly this many bytes and this hash_large. It is read, but not kept. False
 * also if it can't be read.
 */
bool file_has_hash(const char *path, uint64_t size, uint64_t hash);

/*
 * Replaces the file, so that it has the new or the old text, never a part: a temporary file beside
 * it ("PATH.new") is written, synced and renamed. Creates the folder if it is missing (one level).
 */
MUST_CHECK bool file_replace(const char *path, const char *text, size_t len, mode_t mode,
			     struct error *err);
/* The same for a file that must not exist yet: EEXIST if it does. */
MUST_CHECK bool file_create(const char *path, const char *text, size_t len, mode_t mode,
			    struct error *err);
