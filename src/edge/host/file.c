/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading with a bound, replacing by rename. */
#include "edge/host/file.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CHUNK = 64 << 10,
	PIPE_MS = 10000,  /* to read a pipe to its end (check /dev/stdin) */
	WRITER_MS = 5000, /* to wait for another process that is replacing the same file */
};

static bool too_large(const char *path, size_t max, struct error *err)
{
	if (max >= 1 << 20 && max % (1 << 20) == 0)
		return error_set(err, -1, "%s is larger than %zu MiB", path, max >> 20);
	return error_set(err, -1, "%s is larger than %zu bytes", path, max);
}

/* A pipe must reach its end in time. */
static bool wait_readable(int fd, const char *path, int64_t until_ms, struct error *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left = until_ms - clock_ms();
	int n = left > 0 ? poll(&p, 1, (int)left) : 0;

	if (n < 0 && errno != EINTR)
		return error_set(err, errno, "read %s", path);
	if (!n)
		return error_set(err, -1, "read %s: timed out before the end", path);
	return true;
}

static bool read_all(struct buf *out, int fd, const struct stat *st, const char *path, size_t max,
		     int64_t until_ms, struct error *err)
{
	bool regular = S_ISREG(st->st_mode); /* always readable, and its size is known */
	size_t start = out->len;

	if (regular)
		buf_reserve(out, (size_t)st->st_size + 1);
	for (;;) {
		size_t room;
		char *at;
		ssize_t n;

		if (!regular && !wait_readable(fd, path, until_ms, err))
			return false;
		if (out->cap - out->len < 2)
			buf_reserve(out, out->cap + CHUNK);
		room = out->cap - out->len - 1;
		at = out->data + out->len;
		n = read(fd, at, room);
		out->len += n > 0 ? (size_t)n : 0;
		out->data[out->len] = '\0';
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_set(err, errno, "read %s", path);
		if (!n)
			return true;
		if (out->len - start > max)
			return too_large(path, max, err);
	}
}

bool file_read(struct buf *out, const char *path, size_t max, struct error *err)
{
	return file_read_within(out, path, max, PIPE_MS, err);
}

bool file_read_within(struct buf *out, const char *path, size_t max, int pipe_ms, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, errno, "open %s", path);
	if (S_ISDIR(st.st_mode))
		return error_set(err, EISDIR, "read %s", path);
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max)
		return too_large(path, max, err);
	return read_all(out, fd, &st, path, max, clock_ms() + pipe_ms, err);
}

struct file_mark file_mark(const char *path)
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return (struct file_mark){0};
	return (struct file_mark){st.st_dev, st.st_ino, (uint64_t)st.st_size,
				  st.st_ctim.tv_sec * (int64_t)1000000000 + st.st_ctim.tv_nsec};
}

/* Reads as much as there is; -1: it can't be read. */
static ssize_t read_block(int fd, char *block)
{
	ssize_t len = 0, n = 1;

	while (n > 0 && len < HASH_BLOCK) {
		n = read(fd, block + len, (size_t)(HASH_BLOCK - len));
		len += n;
	}
	return n < 0 ? -1 : len;
}

bool file_has_hash(const char *path, uint64_t size, uint64_t hash)
{
	static char block[HASH_BLOCK];
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint64_t found = HASH_START;
	ssize_t len = HASH_BLOCK;

	while (len == HASH_BLOCK) {
		len = read_block(fd, block);
		if (len < 0 || (uint64_t)len > size)
			return false;
		size -= (uint64_t)len;
		found = hash_word(found, hash_bytes(block, (size_t)len));
	}
	return !size && found == hash;
}

/* The folder of a path; "." for a bare name. */
static void folder_of(struct buf *folder, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		buf_puts(folder, ".");
	else
		buf_add(folder, path, slash == path ? 1 : (size_t)(slash - path));
}

static bool write_synced(int fd, const char *text, size_t len, mode_t mode)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return !fchmod(fd, mode) && !fsync(fd);
}

/* Without this, a power failure may undo the rename, but never leaves half a file. */
static void sync_folder(const char *folder)
{
	AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)!fsync(fd);
}

/* Another process renamed our temporary file: it is complete. */
static bool is_at(int fd, const char *path)
{
	struct stat ours, there;

	return !fstat(fd, &ours) && !lstat(path, &there) && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

/*
 * Opens the temporary file. It always has the same name, so a killed process leaves at most one,
 * which the next one uses. It is locked against a second writer. -1 with err.
 */
static int open_temporary(const char *path, struct error *err)
{
	int64_t until = clock_ms() + WRITER_MS;

	do {
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

		if (fd < 0) {
			error_set(err, errno, "create %s", path);
			return -1;
		}
		if (!flock(fd, LOCK_EX | LOCK_NB) && is_at(fd, path) && !ftruncate(fd, 0))
			return fd;
		close(fd);
		usleep(1000);
	} while (clock_ms() < until);
	error_set(err, EBUSY, "create %s", path);
	return -1;
}

/* rename(2) for a file that must not exist yet; with a gap where the filesystem can't do it. */
static int rename_new(const char *from, const char *to)
{
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (!access(to, F_OK)) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

static bool put_file(const char *path, const char *text, size_t len, mode_t mode,
		     int (*move)(const char *from, const char *to), struct error *err)
{
	AUTO_BUF struct buf folder = {0}, temporary = {0};
	AUTO_CLOSE int fd = -1;

	folder_of(&folder, path);
	if (mkdir(buf_text(&folder), 0755) && errno != EEXIST)
		return error_set(err, errno, "create folder %s", buf_text(&folder));
	buf_printf(&temporary, "%s.new", path);
	fd = open_temporary(buf_text(&temporary), err);
	if (fd < 0)
		return false;
	if (!write_synced(fd, text, len, mode)) {
		error_set(err, errno, "write %s", buf_text(&temporary));
		unlink(buf_text(&temporary));
		return false;
	}
	if (move(buf_text(&temporary), path)) {
		error_set(err, errno, "%s %s", move == rename ? "replace" : "create", path);
		unlink(buf_text(&temporary));
		return false;
	}
	sync_folder(buf_text(&folder));
	return true;
}

bool file_replace(const char *path, const char *text, size_t len, mode_t mode, struct error *err)
{
	return put_file(path, text, len, mode, rename, err);
}

bool file_create(const char *path, const char *text, size_t len, mode_t mode, struct error *err)
{
	return put_file(path, text, len, mode, rename_new, err);
}
