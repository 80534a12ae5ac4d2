/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/host/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FOLDER_ITSELF = IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR,
	NAMES_IN_FOLDER = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE,
	FILE_ITSELF = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF,
	MAX_LINKS = 40, /* the kernel's limit */
	MAX_WATCHED = 4096,
};

/* A path on its way to the file: the resolved part, and the rest. */
struct walk {
	struct watch *w;
	char at[PATH_MAX]; /* "" is the root; contains no symlink */
	char rest[PATH_MAX];
	uint32_t n_links;
	bool listen; /* watch all names in every folder */
	bool arrived;
};

/* Two watches on one inode are one for the kernel: it answers with the same number. */
static void watch_place(struct watch *w, const char *path, const char *name, uint32_t events)
{
	struct watched *place;

	if (w->n == MAX_WATCHED || strlen(name) >= sizeof(place->name))
		return;
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 16;
		w->places = xrealloc(w->places, w->cap * sizeof(*w->places));
	}
	place = &w->places[w->n];
	place->wd = inotify_add_watch(w->fd, *path ? path : "/", events | IN_MASK_ADD);
	if (place->wd < 0)
		return;
	snprintf(place->name, sizeof(place->name), "%s", name);
	w->n++;
}

/* Takes the next part off the path. False: there is none left. */
static bool next_part(struct walk *k, char part[NAME_MAX + 1])
{
	const char *start = k->rest + strspn(k->rest, "/");
	size_t len = strcspn(start, "/");

	if (!len || len > NAME_MAX)
		return false;
	memcpy(part, start, len);
	part[len] = '\0';
	memmove(k->rest, start + len, strlen(start + len) + 1);
	return true;
}

/* The link's target comes before the rest. */
static bool follow(struct walk *k, const char *target)
{
	char joined[PATH_MAX];

	if (++k->n_links > MAX_LINKS ||
	    snprintf(joined, sizeof(joined), "%s%s", target, k->rest) >= (int)sizeof(joined))
		return false;
	memcpy(k->rest, joined, sizeof(joined));
	if (*target == '/')
		k->at[0] = '\0';
	return true;
}

/* False: the walk ends here, successfully or not. */
static bool step(struct walk *k)
{
	char part[NAME_MAX + 1], path[PATH_MAX], target[PATH_MAX];
	struct stat st;
	ssize_t len;
	bool leads;

	if (!next_part(k, part))
		return false;
	if (snprintf(path, sizeof(path), "%s/%s", k->at, part) >= (int)sizeof(path))
		return false;
	/*
	 * A folder reports its own removal. A link or a file may be replaced under its name, which
	 * only the folder reports.
	 */
	leads = !k->listen && !lstat(path, &st) && S_ISDIR(st.st_mode);
	watch_place(k->w, k->at, part, leads ? FOLDER_ITSELF : FOLDER_ITSELF | NAMES_IN_FOLDER);
	if (lstat(path, &st) < 0 || (leads && !S_ISDIR(st.st_mode)))
		return false; /* it may be created later */
	if (S_ISLNK(st.st_mode)) {
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			return false;
		target[len] = '\0';
		return follow(k, target);
	}
	memcpy(k->at, path, sizeof(path));
	if (S_ISDIR(st.st_mode))
		return true;
	watch_place(k->w, path, "", FILE_ITSELF);
	k->arrived = true;
	return false;
}

/* False: there is no file at the end of the path. */
static bool walk(struct watch *w, const char *path, bool listen)
{
	struct walk k = {.w = w, .listen = listen};

	if (*path != '/' && !getcwd(k.at, sizeof(k.at)))
		return true; /* it never will be: this folder is gone */
	snprintf(k.rest, sizeof(k.rest), "%s", path);
	while (step(&k))
		;
	return k.arrived;
}

/*
 * Walks the whole path again, because any part may have changed. While the file exists, folders on
 * the way are watched themselves, without their entries, so that other files in /tmp or /etc wake
 * nobody. While it does not exist, entries are watched, too.
 */
static void look(struct watch *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		inotify_rm_watch(w->fd, w->places[i].wd);
	w->n = 0;
	for (uint32_t i = 0; i < w->n_paths; i++)
		if (!walk(w, w->paths[i], false))
			walk(w, w->paths[i], true);
}

static void forget_paths(struct watch *w)
{
	for (uint32_t i = 0; i < w->n_paths; i++)
		free(w->paths[i]);
	free(w->paths);
	w->paths = NULL;
	w->n_paths = 0;
}

static bool has_paths(const struct watch *w, const char *const *paths, uint32_t n)
{
	if (w->n_paths != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(w->paths[i], paths[i]) != 0)
			return false;
	return true;
}

bool watch_paths(struct watch *w, const char *const *paths, uint32_t n)
{
	if (has_paths(w, paths, n))
		return false;
	forget_paths(w);
	w->paths = xmalloc(n * sizeof(*w->paths));
	for (; w->n_paths < n; w->n_paths++)
		w->paths[w->n_paths] = memcpy(xmalloc(strlen(paths[w->n_paths]) + 1),
					      paths[w->n_paths], strlen(paths[w->n_paths]) + 1);
	look(w);
	return true;
}

bool watch_open(struct watch *w, const char *path, struct error *err)
{
	*w = (struct watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
	if (w->fd < 0)
		return error_set(err, errno, "watch %s", path);
	watch_paths(w, &path, 1);
	return true;
}

/* Other names come and go in shared folders. */
static bool matters(const struct watch *w, const struct inotify_event *event)
{
	if (!event->len)
		/* the watched place itself, or events were lost */
		return !(event->mask & IN_IGNORED);
	for (uint32_t i = 0; i < w->n; i++)
		if (w->places[i].wd == event->wd && !strcmp(w->places[i].name, event->name))
			return true;
	return false;
}

bool watch_take(struct watch *w)
{
	char events[4096] __attribute__((aligned(8)));
	bool changed = false;
	ssize_t n;

	while ((n = read(w->fd, events, sizeof(events))) > 0)
		for (const char *at = events; at < events + n;) {
			const struct inotify_event *event = (const void *)at;

			changed |= matters(w, event);
			at += sizeof(*event) + event->len;
		}
	if (changed)
		look(w);
	return changed;
}

void watch_close(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	forget_paths(w);
	free(w->places);
	w->places = NULL;
	w->n = w->cap = 0;
}
