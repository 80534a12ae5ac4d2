/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink sockets (netlink(7)), held open and used again. Requests are bytes that somebody else
 * built; answers are handed out message by message. The only socket() beside libcurl's. An answer
 * must be whole within 5 s (ETIMEDOUT).
 *
 * In this room:
 *     netlink.h           sockets and requests
 *     netns.h             namespaces
 *     route.h, routing.h  our routes, and those of others
 *     conntrack.h         live connections
 *     ports.h             the ports of a bridge
 *     port_watch.h        whether somebody changed them
 *     neighbours.h        what a namespace has learned of its neighbours
 *     rtattr.h            attributes of rtnetlink
 *     author.h            who changed something
 *     nflog.h             packets that rules log
 *     probe.h             one packet that is sent and traced
 */
#pragma once

#include "base/error.h"

#include <linux/netlink.h>

/* In the network namespace that the thread is in. -1 with err. */
int netlink_open(int protocol, struct error *err);

/* The number by which the kernel identifies this socket as the author of changes. */
uint32_t netlink_port(int fd);
/* Listens to these multicast groups (0 ends the list); never blocks. -1 with err. */
int netlink_listen(int protocol, const int groups[], struct error *err);
/* Joins or leaves a group; fd -1: does nothing. */
void netlink_hear_group(int fd, int group, bool on);
/*
 * Reads announcements that wait, but no more than a listener's share of one wake: who floods it
 * holds up nobody else. Something: one that `is_news` takes for a reason, or some were lost.
 */
enum heard { HEARD_NOTHING, HEARD_SOMETHING, HEARD_TOO_MUCH };
enum heard netlink_hear(int fd, bool (*is_news)(void *context, const struct nlmsghdr *message),
			void *context);
/* Discards what is waiting. */
void netlink_forget(int fd);

/*
 * Takes one message of an answer; false with err ends the reading. Where err->code is E2BIG the
 * rest of a dump is left in the socket, which is good for nothing else then (ns_renew).
 */
typedef bool (*netlink_reader)(void *context, const struct nlmsghdr *message, struct error *err);

/*
 * Sends a dump request and reads to its end. err->code EINTR: the kernel's tables changed meanwhile
 * and parts may be missing (NLM_F_DUMP_INTR); otherwise what the kernel says (ENOENT, …).
 */
MUST_CHECK bool netlink_dump(int fd, const void *request, size_t len, uint32_t seq,
			     netlink_reader reader, void *context, struct error *err);
/* The same for a request with one message as its answer. */
MUST_CHECK bool netlink_get(int fd, const void *request, size_t len, uint32_t seq,
			    netlink_reader reader, void *context, struct error *err);
/*
 * Sends n_messages in one piece and reads the acknowledgement that one of them asks for. On refusal
 * err has the code and, where the kernel gives one, its text; *failed_seq (may be NULL) is the
 * refused message's number.
 */
MUST_CHECK bool netlink_talk(int fd, const void *messages, size_t len, uint32_t seq_first,
			     uint32_t n_messages, uint32_t *failed_seq, struct error *err);
