/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells when one of some files may have changed (inotify(7)): written in place, renamed over,
 * swapped by a symlink anywhere in its path, deleted and created again, with its folder, too.
 * Watches the file and every folder on the way to it; entries of a folder only if one of them is a
 * link or the file, or while the file is missing. It only says "maybe"; the caller compares
 * contents. inotify does not see changes on network file systems and of mounts; the caller needs a
 * timer for these.
 */
#pragma once

#include "base/error.h"

struct watch {
	int fd; /* readable after a change; -1: closed */
	char **paths;
	uint32_t n_paths;
	struct watched {
		int wd;
		char name[256]; /* in that folder; "": the file itself */
	} * places;
	uint32_t n, cap;
};

#define WATCH_INIT                                                                                 \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Missing folders are no error: they are waited for. */
MUST_CHECK bool watch_open(struct watch *w, const char *path, struct error *err);
/*
 * Watches these files from now on. True: they are not the same as before, so one may have changed
 * unnoticed.
 */
bool watch_paths(struct watch *w, const char *const *paths, uint32_t n);
/* Reads the events and updates the watches. Never blocks. True: a file may have changed. */
bool watch_take(struct watch *w);
void watch_close(struct watch *w);
