/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A configuration and the lists that it names, read from its folder: one run of bytes, so that one
 * hash tells a change in any of them and one file keeps them all. Behind the configuration's own
 * text comes, for each list,
 *     NUL "+" name NUL length NUL text
 * or, where it could not be read, "-" for "+" and why for the text.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "core/config/config.h"

struct texts {
	struct buf bytes;
	size_t len; /* of the configuration's own text */
};
void texts_free(struct texts *t);
#define AUTO_TEXTS __attribute__((cleanup(texts_free)))

/* The largest that is kept: as much for the lists as for the configuration, and their names. */
enum { TEXTS_MAX_BYTES = 2 * CONFIG_MAX_BYTES + (1 << 20) };
enum { TEXTS_PIPE_MS = 10000 }; /* where nobody else waits */

/*
 * False: the configuration itself can't be read. A list that can't be is said by whoever decodes
 * it. pipe_ms: what is no file, but a pipe, gets so long.
 */
MUST_CHECK bool texts_read(struct texts *t, const char *path, int pipe_ms, struct error *err);
/* Bytes that were kept. */
void texts_split(struct texts *t);
/* The lists, in the arena and in the bytes. path: of the configuration. */
void texts_lists(list_files *files, struct arena *a, const struct texts *t, const char *path);
