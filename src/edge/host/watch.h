/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells when a file may have changed (inotify(7)): written in place, renamed over, swapped by a
 * symlink anywhere in its path, deleted and back, its folder too. Watches the file itself and every
 * folder on the way to it; names in a folder only where one is a link or the file, or while there
 * is no file. Says "maybe": the reader compares contents. Changes that inotify does not see
 * (network file systems, mounts) are for the caller's timer.
 */
#pragma once

#include "base/error.h"

enum { MAX_WATCHED = 64 };

struct watch {
	int fd; /* readable when there is something; -1: closed */
	const char *path;
	struct watched {
		int wd;
		char name[256]; /* in that folder; "": the file itself */
	} places[MAX_WATCHED];
	uint32_t n;
};

#define WATCH_INIT                                                                                 \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* path is kept. Folders that are not there yet are no error: they are waited for. */
MUST_CHECK bool watch_open(struct watch *w, const char *path, struct error *err);
/* Takes what there is and looks again at what is to be watched. Never blocks. True: it may have
 * changed. */
bool watch_take(struct watch *w);
void watch_close(struct watch *w);
