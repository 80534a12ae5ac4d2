/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who changed something, as far as the kernel tells. */
#pragma once

#include <linux/netlink.h>
#include <stdint.h>
#include <sys/types.h>

struct author {
	pid_t pid;	 /* 0: nobody, or not known */
	char name[17];	 /* of the process, "" if not known */
	char parent[17]; /* of the process that started it, "" if not known (any more) */
};

/* From the message at the end of an nf_tables transaction (NFT_MSG_NEWGEN). */
struct author author_of_transaction(const struct nlmsghdr *newgen);
/*
 * From an rtnetlink announcement: its port, which is the sender's pid for most programs. It has no
 * name yet.
 */
struct author author_of_route(const struct nlmsghdr *message);
/* Looks for the parent process, which may end soon. */
void author_find_parent(struct author *author);
/*
 * Looks for the name, too. A port is any number that its owner likes: only a process in this
 * network namespace (st_ino of /proc/PID/ns/net) is believed to be the one.
 */
void author_find_name(struct author *author, uint64_t netns);
