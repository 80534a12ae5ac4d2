/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells when a file may have changed (inotify(7)): written in place, renamed over, swapped by a
 * symlink, deleted and back. Watches the file itself, the folder of its name and the folder it
 * really lies in. Says "maybe": the reader compares contents. Changes that inotify does not see
 * (network file systems) are for the caller's timer.
 */
#pragma once

#include "base/error.h"

struct watch {
	int fd; /* readable when there is something; -1: closed */
	const char *path;
};

#define WATCH_INIT                                                                                 \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* path is kept. Folders that are not there yet are no error: they are looked for again. */
MUST_CHECK bool watch_open(struct watch *w, const char *path, struct error *err);
/* Takes what there is and looks again at what is to be watched. Never blocks. */
void watch_take(struct watch *w);
void watch_close(struct watch *w);
