/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	FILE_EVENTS = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF,
	FOLDER_EVENTS = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE |
			IN_MOVE_SELF | IN_DELETE_SELF,
};

/*
 * The same inode twice is one watch for the kernel, so that all of this may be said again after
 * every event; a watch whose inode is gone goes by itself.
 */
static void look(const struct watch *w)
{
	char folder[PATH_MAX], real[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", w->path);
	inotify_add_watch(w->fd, dirname(folder), FOLDER_EVENTS);
	inotify_add_watch(w->fd, w->path, FILE_EVENTS);
	if (realpath(w->path, real))
		inotify_add_watch(w->fd, dirname(real), FOLDER_EVENTS);
}

bool watch_open(struct watch *w, const char *path, struct error *err)
{
	*w = (struct watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .path = path};
	if (w->fd < 0)
		return error_set(err, errno, "watch %s", path);
	look(w);
	return true;
}

void watch_take(struct watch *w)
{
	char events[4096] __attribute__((aligned(8)));

	while (read(w->fd, events, sizeof(events)) > 0)
		;
	look(w);
}

void watch_close(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}
