/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/author.h"

#include "core/nft/nlattr.h"
#include "edge/host/file.h"

#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_STAT_BYTES = 4096 };

struct author author_of_transaction(const struct nlmsghdr *newgen)
{
	struct attrs attrs = nlmsg_attrs(newgen);
	struct author author = {.pid = (pid_t)attr_be32(attr_find(attrs, NFTA_GEN_PROC_PID))};

	snprintf(author.name, sizeof(author.name), "%.16s",
		 attr_text(attr_find(attrs, NFTA_GEN_PROC_NAME)));
	return author;
}

/* /proc/PID/stat: "12 (a name) S 1 …". False: there is no such process. */
static bool read_stat(pid_t pid, char name[17], pid_t *parent)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};
	const char *open, *close;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!file_read(&text, path, MAX_STAT_BYTES, &err))
		return false;
	open = strchr(buf_text(&text), '(');
	close = strrchr(buf_text(&text), ')');
	if (!open || !close || close < open || strlen(close) < 4)
		return false;
	snprintf(name, 17, "%.*s", (int)(close - open - 1), open + 1);
	*parent = atoi(close + 4);
	return true;
}

struct author author_of_route(const struct nlmsghdr *message)
{
	return (struct author){.pid = (pid_t)message->nlmsg_pid};
}

/* Pids may be another namespace's numbers: the name must be the same. */
void author_find_parent(struct author *author)
{
	pid_t parent, grandparent;
	char name[17];

	author->parent[0] = '\0';
	if (author->pid > 0 && read_stat(author->pid, name, &parent) &&
	    !strcmp(name, author->name) && parent > 0 &&
	    !read_stat(parent, author->parent, &grandparent))
		author->parent[0] = '\0';
}

static bool is_in(pid_t pid, uint64_t netns)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return !stat(path, &st) && st.st_ino == netns;
}

void author_find_name(struct author *author, uint64_t netns)
{
	pid_t parent;

	if (author->pid <= 0 || !is_in(author->pid, netns) ||
	    !read_stat(author->pid, author->name, &parent))
		*author = (struct author){0};
	author_find_parent(author);
}
