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
	size_t len; /* of the configuration itself */
};
void texts_free(struct texts *t);
#define AUTO_TEXTS __attribute__((cleanup(texts_free)))

/* The largest size: as much for the lists as for the configuration, plus their names. */
enum { TEXTS_MAX_BYTES = 2 * CONFIG_MAX_BYTES + (1 << 20) };
enum { TEXTS_PIPE_MS = 10000 }; /* if nobody else waits */

/*
 * False: the configuration itself can't be read. An unreadable list is reported when it is decoded.
 * pipe_ms: how long to read a pipe.
 */
MUST_CHECK bool texts_read(struct texts *t, const char *path, int pipe_ms, struct error *err);
/* One hash of all the bytes. */
uint64_t texts_digest(const struct texts *t);
/* Takes bytes that were saved. */
void texts_split(struct texts *t);
/* The lists, in the arena and inside the bytes. path: of the configuration. */
void texts_lists(list_files *files, struct arena *a, const struct texts *t, const char *path);
