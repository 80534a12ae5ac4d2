/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces, entered only here (the only setns of the program). A namespace is held by its
 * netlink sockets: opened once inside it, used from anywhere afterwards. A held socket keeps a dead
 * namespace alive, so ns_close when the container is gone.
 */
#pragma once

#include "base/error.h"
#include "edge/netlink/author.h"
#include "edge/netlink/port_watch.h"

#include <sys/types.h>

struct ns {
	int nf_fd;	    /* NETLINK_NETFILTER, or -1 */
	int route_fd;	    /* NETLINK_ROUTE, or -1 */
	int nf_event_fd;    /* hears of nf_tables transactions, or -1 */
	int route_event_fd; /* hears of ip_forward; but on the host, which has too many, also of
			  routes, their rules, links and addresses */
	int ns_fd;	    /* the namespace itself */
	int pidfd; /* of the container's first process; readable when it is dead; -1: the host */
	pid_t pid;
	uint64_t inode;			   /* of the namespace, st_ino of /proc/PID/ns/net */
	struct author rules_by, routes_by; /* the last other one who changed what we look after */
	bool touched;			   /* … in the transaction that is being heard of */
	struct port_watch *ports;	   /* host: also heard of; NULL: nothing of them */
	bool muted; /* too many events came: none are received until ns_listen */
	/* How much is read there, where its owner is not the host's; 0: no bound. */
	size_t most_bytes;    /* of what a table of ours may hold */
	uint32_t most_routes; /* of our protocol number */
	int64_t until_ms;     /* all of it read by then */
};

#define NS_INIT                                                                                    \
	{                                                                                          \
		.nf_fd = -1, .route_fd = -1, .nf_event_fd = -1, .route_event_fd = -1, .ns_fd = -1, \
		.pidfd = -1                                                                        \
	}

/* Our own namespace. */
MUST_CHECK bool ns_open_host(struct ns *ns, struct error *err);
/*
 * The namespace of a running container. Safe against reuse of the pid: pidfd first, then the pid's
 * cgroup must name the container's id, then setns on the pidfd. Refused if it is the host's own
 * namespace (--network host).
 */
MUST_CHECK bool ns_open_container(struct ns *ns, pid_t pid, const char *container_id,
				  struct error *err);
/*
 * While somebody listens, the kernel writes a notification for every element and rule, and loading
 * 10 000 of them takes four times as long. So we leave the group during a large transaction (bytes)
 * of ours. A change that somebody else makes in that time is still found: a pass that changed
 * something is followed by one that looks. True: events are muted, until ns_unmute_events.
 */
bool ns_mute_events(const struct ns *ns, size_t bytes);
void ns_unmute_events(const struct ns *ns, bool muted);
/*
 * Somebody else changed rules, or what our routes hang on, since the last time. Takes the news; of
 * who tells too much nothing more is heard until ns_listen.
 */
bool ns_heard_changes(struct ns *ns);
/* Call it before reading: changes from now on are reported. */
void ns_listen(struct ns *ns);
/* Of the host: also hear of the ports of bridges from now on, or (NULL) not. */
void ns_watch_ports(struct ns *ns, struct port_watch *watch);
/* A dump was given up: another socket takes the place, and the number, of the one of nf_tables. */
MUST_CHECK bool ns_renew(const struct ns *ns, struct error *err);
bool ns_is_alive(const struct ns *ns);
void ns_close(struct ns *ns);

/*
 * Moves the thread into a namespace, for as long as it takes to start a program there. It must come
 * back.
 */
MUST_CHECK bool ns_enter(int *home, const struct ns *ns, struct error *err);
void ns_leave(int home);

/* Whether the namespace forwards packets of a family, 4 or 6; *value 0 or 1, 0 where the kernel has
 * no IPv6. */
MUST_CHECK bool ns_get_forward(const struct ns *ns, uint8_t family, int *value, struct error *err);
MUST_CHECK bool ns_set_forward(const struct ns *ns, uint8_t family, int value, struct error *err);
/* A number below /proc/sys/net, as the namespace has it. ENOENT: the kernel, or the interface that
 * the path names, is not there. */
MUST_CHECK bool ns_get_switch(const struct ns *ns, const char *path, int *value, struct error *err);
MUST_CHECK bool ns_set_switch(const struct ns *ns, const char *path, int value, struct error *err);
