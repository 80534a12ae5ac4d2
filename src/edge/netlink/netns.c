/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/netns.h"

#include "base/buf.h"
#include "core/nft/nlattr.h"
#include "core/ruleset/ruleset.h"
#include "edge/host/file.h"
#include "edge/netlink/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_CGROUP_BYTES = 64 << 10, LOUD_BYTES = 16 << 10 };

/* Of the host's, which has too many, routes are not heard of. */
static const int rule_groups[] = {NFNLGRP_NFTABLES, 0};
static const int route_groups[] = {RTNLGRP_LINK,	 RTNLGRP_IPV4_IFADDR,
				   RTNLGRP_IPV4_ROUTE,	 RTNLGRP_IPV4_RULE,
				   RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_IFADDR,
				   RTNLGRP_IPV6_ROUTE,	 RTNLGRP_IPV6_RULE,
				   RTNLGRP_IPV6_NETCONF, 0};
static const int host_groups[] = {RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, 0};

/* Without nfnetlink there is nothing to talk to, and nothing to hear: x_tables has no netlink. */
static bool open_nfnetlink(struct ns *ns, struct error *err)
{
	ns->nf_fd = netlink_open(NETLINK_NETFILTER, err);
	if (ns->nf_fd >= 0)
		ns->nf_event_fd = netlink_listen(NETLINK_NETFILTER, rule_groups, err);
	if (err->code == EPROTONOSUPPORT)
		*err = (struct error){0};
	return !err->code;
}

static bool open_sockets(struct ns *ns, struct error *err)
{
	if (!open_nfnetlink(ns, err))
		return false;
	ns->route_fd = netlink_open(NETLINK_ROUTE, err);
	if (ns->route_fd >= 0)
		ns->route_event_fd = netlink_listen(
			NETLINK_ROUTE, ns->pidfd < 0 ? host_groups : route_groups, err);
	return ns->route_event_fd >= 0;
}

/* Our table, or the chains that our hand-off rules stand in; the first attribute names the table.
 */
static bool is_about_ours(const struct nlmsghdr *message)
{
	static const char *const chains[] = {"DOCKER-USER", "FORWARD", "PREROUTING"};
	struct attrs attrs = nlmsg_attrs(message);
	const char *chain = attr_text(attr_find(attrs, NFTA_RULE_CHAIN));
	int kind = message->nlmsg_type & 0xff;

	if (!strcmp(attr_text(attr_find(attrs, NFTA_TABLE_NAME)), TABLE_NAME))
		return true;
	if (kind != NFT_MSG_NEWRULE && kind != NFT_MSG_DELRULE)
		return false;
	for (size_t i = 0; i < COUNT_OF(chains); i++)
		if (!strcmp(chain, chains[i]))
			return true;
	return false;
}

/* NEWGEN is the end of every transaction; the port is that of the socket that sent it. */
static bool is_foreign_transaction(void *context, const struct nlmsghdr *message)
{
	struct ns *ns = context;

	if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN)) {
		ns->touched |= is_about_ours(message);
		return false;
	}
	if (message->nlmsg_pid == netlink_port(ns->nf_fd)) {
		ns->touched = false;
		return false;
	}
	if (ns->touched)
		ns->rules_by = author_of_transaction(message);
	ns->touched = false;
	return true;
}

/* Of what is told for every new device, the switch of the whole namespace: ip_forward. */
static bool is_forwarding(const struct nlmsghdr *message)
{
	struct attrs attrs = nlmsg_attrs(message); /* a netconfmsg takes a nfgenmsg's room */
	struct attrs which = attr_find(attrs, NETCONFA_IFINDEX);
	int index = 0;

	if (which.len == sizeof(index))
		memcpy(&index, which.bytes, sizeof(index));
	return index == NETCONFA_IFINDEX_ALL && attr_find(attrs, NETCONFA_FORWARDING).len;
}

static bool is_foreign_route(void *context, const struct nlmsghdr *message)
{
	struct ns *ns = context;

	if (message->nlmsg_type == RTM_NEWNETCONF)
		return is_forwarding(message);
	if (ns->ports)
		return port_watch_is_news(ns->ports, message);
	if (message->nlmsg_pid == netlink_port(ns->route_fd))
		return false;
	if ((message->nlmsg_type == RTM_DELROUTE || message->nlmsg_type == RTM_NEWROUTE) &&
	    (pid_t)message->nlmsg_pid != ns->routes_by.pid)
		ns->routes_by = author_of_route(message);
	return true;
}

bool ns_mute_events(const struct ns *ns, size_t bytes)
{
	if (bytes > LOUD_BYTES)
		netlink_hear_group(ns->nf_event_fd, NFNLGRP_NFTABLES, false);
	return bytes > LOUD_BYTES;
}

void ns_unmute_events(const struct ns *ns, bool muted)
{
	if (muted)
		netlink_hear_group(ns->nf_event_fd, NFNLGRP_NFTABLES, true);
}

static enum heard hear(int event_fd, bool (*is_news)(void *context, const struct nlmsghdr *message),
		       struct ns *ns)
{
	return event_fd < 0 ? HEARD_NOTHING : netlink_hear(event_fd, is_news, ns);
}

static void hear_groups(int event_fd, const int groups[], bool on)
{
	for (; *groups; groups++)
		netlink_hear_group(event_fd, *groups, on);
}

static void hear_rules(struct ns *ns, bool on)
{
	hear_groups(ns->nf_event_fd, rule_groups, on);
}

static void hear_routes(struct ns *ns, bool on)
{
	hear_groups(ns->route_event_fd, ns->pidfd < 0 ? host_groups : route_groups, on);
	if (ns->ports)
		port_watch_hear(ns->route_event_fd, on);
}

/* An engine that starts writes many rules, and new ports must be heard of meanwhile. */
static void mute(struct ns *ns, int event_fd, void (*hear_those)(struct ns *ns, bool on))
{
	hear_those(ns, false);
	netlink_forget(event_fd);
	ns->muted = true;
}

void ns_listen(struct ns *ns)
{
	if (!ns->muted)
		return;
	hear_rules(ns, true);
	hear_routes(ns, true);
	ns->muted = false;
}

void ns_watch_ports(struct ns *ns, struct port_watch *watch)
{
	if (!watch != !ns->ports && (!watch || !ns->muted))
		port_watch_hear(ns->route_event_fd, watch != NULL);
	ns->ports = watch;
}

/* Who did it is looked for once, whatever came: not for every message of a flood. */
bool ns_heard_changes(struct ns *ns)
{
	pid_t rules_by = ns->rules_by.pid, routes_by = ns->routes_by.pid;
	enum heard rules = hear(ns->nf_event_fd, is_foreign_transaction, ns);
	enum heard routes = hear(ns->route_event_fd, is_foreign_route, ns);

	if (rules == HEARD_TOO_MUCH)
		mute(ns, ns->nf_event_fd, hear_rules);
	if (routes == HEARD_TOO_MUCH)
		mute(ns, ns->route_event_fd, hear_routes);
	if (ns->rules_by.pid != rules_by)
		author_find_parent(&ns->rules_by);
	if (ns->routes_by.pid != routes_by)
		author_find_name(&ns->routes_by, ns->inode);
	return rules != HEARD_NOTHING || routes != HEARD_NOTHING;
}

bool ns_renew(const struct ns *ns, struct error *err)
{
	AUTO_CLOSE int fd = -1;
	int home;

	if (!ns_enter(&home, ns, err))
		return false;
	fd = netlink_open(NETLINK_NETFILTER, err);
	ns_leave(home);
	return fd >= 0 && (dup3(fd, ns->nf_fd, O_CLOEXEC) >= 0 || error_set(err, errno, "dup3"));
}

static bool open_ns_file(struct ns *ns, const char *path, struct error *err)
{
	struct stat st;

	ns->ns_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (ns->ns_fd < 0 && (errno == EACCES || errno == EPERM))
		return error_set(err, errno,
				 "open %s (it takes CAP_SYS_PTRACE for a container of another user "
				 "or with more capabilities; add --cap-add SYS_PTRACE)",
				 path);
	if (ns->ns_fd < 0 || fstat(ns->ns_fd, &st) < 0)
		return error_set(err, errno, "open %s", path);
	ns->inode = st.st_ino;
	return true;
}

bool ns_open_host(struct ns *ns, struct error *err)
{
	*ns = (struct ns)NS_INIT;
	return open_ns_file(ns, "/proc/thread-self/ns/net", err) && open_sockets(ns, err);
}

/* --- visits --- */

/* The thread goes into a namespace and must come back: with the wrong one nothing is right. */
bool ns_enter(int *home, const struct ns *ns, struct error *err)
{
	*home = -1;
	if (ns->pidfd < 0)
		return true;
	*home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*home < 0)
		return error_set(err, errno, "open our own network namespace");
	if (setns(ns->ns_fd, CLONE_NEWNET) == 0)
		return true;
	error_set(err, errno, "enter the network namespace%s",
		  errno == EPERM ? " (it takes CAP_SYS_ADMIN; add --cap-add SYS_ADMIN)" : "");
	close(*home);
	return false;
}

void ns_leave(int home)
{
	if (home < 0)
		return; /* the host's: we never left */
	if (setns(home, CLONE_NEWNET) < 0) {
		perror("harborwall: return to the host's network namespace");
		abort();
	}
	close(home);
}

/* --- containers --- */

/*
 * /proc/PID/cgroup names the container's id in every layout of Docker's (v1, v2, cgroupfs,
 * systemd), but not for a reader in a cgroup namespace below it: that one sees "/" or "/..".
 */
static bool cgroup_may_be_of(const char *text, const char *container_id)
{
	const char *line = text;

	if (strstr(text, container_id))
		return true;
	for (; *line; line += *line == '\n') {
		const char *path = strchr(line, ':');
		size_t len = strcspn(line, "\n");

		path = path ? strchr(path + 1, ':') : NULL;
		if (!path || path > line + len)
			return false;
		if (strncmp(path, ":/\n", 3) != 0 && strncmp(path, ":/../", 5) != 0)
			return false;
		line += len;
	}
	return true;
}

static bool belongs_to(pid_t pid, const char *container_id, struct error *err)
{
	AUTO_BUF struct buf text = {0};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (!file_read(&text, path, MAX_CGROUP_BYTES, err))
		return false;
	if (cgroup_may_be_of(buf_text(&text), container_id))
		return true;
	return error_set(err, ESRCH, "process %d is no longer the container's", pid);
}

static bool open_container(struct ns *ns, pid_t pid, const char *container_id, struct error *err)
{
	char path[64];
	struct stat own;
	int home;
	bool ok;

	ns->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (ns->pidfd < 0)
		return error_set(err, errno, "process %d", pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (!belongs_to(pid, container_id, err) || !open_ns_file(ns, path, err))
		return false;
	/* whatever had the pid when the file was opened: the container's process still has it */
	if (!ns_is_alive(ns))
		return error_set(err, ESRCH, "process %d", pid);
	if (stat("/proc/thread-self/ns/net", &own) < 0)
		return error_set(err, errno, "look at our own network namespace");
	if (own.st_ino == ns->inode)
		return error_set(err, -1, "it runs in the host's network namespace");
	if (!ns_enter(&home, ns, err))
		return false;
	ok = open_sockets(ns, err);
	ns_leave(home);
	return ok;
}

bool ns_open_container(struct ns *ns, pid_t pid, const char *container_id, struct error *err)
{
	*ns = (struct ns)NS_INIT;
	ns->pid = pid;
	if (open_container(ns, pid, container_id, err))
		return true;
	ns_close(ns);
	return false;
}

bool ns_is_alive(const struct ns *ns)
{
	struct pollfd p = {.fd = ns->pidfd, .events = POLLIN};

	return ns->pidfd < 0 || poll(&p, 1, 0) == 0;
}

void ns_close(struct ns *ns)
{
	int *const fds[] = {&ns->nf_fd,		 &ns->route_fd, &ns->nf_event_fd,
			    &ns->route_event_fd, &ns->pidfd,	&ns->ns_fd};

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close_at_exit_of_scope(fds[i]);
	*ns = (struct ns)NS_INIT;
}

/* --- switches --- */

static const char *switch_of(uint8_t family)
{
	return family == 6 ? "/proc/sys/net/ipv6/conf/all/forwarding"
			   : "/proc/sys/net/ipv4/ip_forward";
}

/*
 * /proc/sys/net shows the namespace of the task that opens it. In a container /proc/sys is often
 * read-only: a procfs of our own, mounted nowhere (fsmount(2)), is not.
 */
static int open_own_proc(const char *path, int flags)
{
	AUTO_CLOSE int fs = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
	AUTO_CLOSE int mount = -1;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	return mount < 0 ? -1 : openat(mount, path + strlen("/proc/"), flags);
}

static int open_switch(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 && errno == EROFS ? open_own_proc(path, flags | O_CLOEXEC) : fd;
}

/* Opened inside the namespace, used from outside. */
static bool open_switch_of(int *fd, const struct ns *ns, const char *path, int flags,
			   struct error *err)
{
	int home;

	if (!ns_enter(&home, ns, err))
		return false;
	*fd = open_switch(path, flags);
	if (*fd < 0)
		error_set(err, errno, "open %s", path);
	ns_leave(home);
	return *fd >= 0;
}

bool ns_get_switch(const struct ns *ns, const char *path, int *value, struct error *err)
{
	AUTO_CLOSE int fd = -1;
	char text[16] = "";

	if (!open_switch_of(&fd, ns, path, O_RDONLY, err))
		return false;
	if (read(fd, text, sizeof(text) - 1) < 1)
		return error_set(err, errno, "read %s", path);
	*value = atoi(text);
	return true;
}

bool ns_set_switch(const struct ns *ns, const char *path, int value, struct error *err)
{
	AUTO_CLOSE int fd = -1;
	char text[16];
	int len = snprintf(text, sizeof(text), "%d\n", value);

	if (!open_switch_of(&fd, ns, path, O_WRONLY, err))
		return false;
	if (write(fd, text, (size_t)len) != len)
		return error_set(err, errno, "write %s", path);
	return true;
}

bool ns_get_forward(const struct ns *ns, uint8_t family, int *value, struct error *err)
{
	if (!ns_get_switch(ns, switch_of(family), value, err)) {
		if (family != 6 || err->code != ENOENT)
			return false;
		*err = (struct error){0};
		*value = 0;
	}
	*value = *value != 0;
	return true;
}

bool ns_set_forward(const struct ns *ns, uint8_t family, int value, struct error *err)
{
	return ns_set_switch(ns, switch_of(family), value != 0, err);
}
