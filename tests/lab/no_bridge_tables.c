/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into harborwall by tests/lab/test_strict_refused.py: what a transaction says of tables
 * of family bridge is said of a family that has no chains, and the kernel refuses the transaction
 * as one without CONFIG_NF_TABLES_BRIDGE does.
 */
#include <dlfcn.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Under a name of our own: glibc's declaration takes a union of pointers. */
ssize_t pretend(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		socklen_t to_len) __asm__("sendto");

static void disguise(uint8_t *at, size_t len)
{
	struct nlmsghdr header;

	for (; len >= NLMSG_HDRLEN + sizeof(struct nfgenmsg); at += header.nlmsg_len) {
		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > len)
			return;
		if (header.nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES &&
		    at[NLMSG_HDRLEN] == NFPROTO_BRIDGE)
			at[NLMSG_HDRLEN] = NFPROTO_DECNET;
		len -= header.nlmsg_len;
	}
}

ssize_t pretend(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		socklen_t to_len)
{
	ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	void *symbol = dlsym(RTLD_NEXT, "sendto");
	struct nlmsghdr first = {0};
	int protocol = -1;
	socklen_t size = sizeof(protocol);
	ssize_t sent = -1;
	void *copy;

	memcpy(&next, &symbol, sizeof(next));
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
	if (!to || to->sa_family != AF_NETLINK || protocol != NETLINK_NETFILTER)
		return next(fd, bytes, len, flags, to, to_len);
	memcpy(&first, bytes, len < sizeof(first) ? len : sizeof(first));
	if (first.nlmsg_type != NFNL_MSG_BATCH_BEGIN)
		return next(fd, bytes, len, flags, to, to_len);
	copy = malloc(len);
	if (copy) {
		memcpy(copy, bytes, len);
		disguise(copy, len);
		sent = next(fd, copy, len, flags, to, to_len);
		free(copy);
	}
	return sent;
}
