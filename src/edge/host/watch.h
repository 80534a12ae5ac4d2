/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells when one of some files may have changed (inotify(7)): written in place, renamed over,
 * swapped by a symlink anywhere in its path, deleted and back, its folder too. Watches the file
 * itself and every folder on the way to it; names in a folder only where one is a link or the file,
 * or while there is no file. Says "maybe": the reader compares contents. Changes that inotify does
 * not see (network file systems, mounts) are for the caller's timer.
 */
#pragma once

#include "base/error.h"

struct watch {
	int fd; /* readable when there is something; -1: closed */
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

/* Folders that are not there yet are no error: they are waited for. */
MUST_CHECK bool watch_open(struct watch *w, const char *path, struct error *err);
/* These from now on. True: they are others than before, so one may have changed unseen. */
bool watch_paths(struct watch *w, const char *const *paths, uint32_t n);
/* Takes what there is and looks again at what is to be watched. Never blocks. True: it may have
 * changed. */
bool watch_take(struct watch *w);
void watch_close(struct watch *w);
