/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into harborwall by tests/lab/test_cells.py: what it asks of nf_tables goes to a
 * subsystem of nfnetlink that no kernel has, and the kernel answers as one without nf_tables does.
 */
#include <dlfcn.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { NOBODY = NFNL_SUBSYS_COUNT };

/* Under a name of our own: glibc's declaration takes a union of pointers. */
ssize_t pretend(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		socklen_t to_len) __asm__("sendto");

ssize_t pretend(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		socklen_t to_len)
{
	ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	void *symbol = dlsym(RTLD_NEXT, "sendto");
	struct nlmsghdr message = {0};
	int protocol = -1;
	socklen_t size = sizeof(protocol);

	memcpy(&next, &symbol, sizeof(next));
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
	if (!to || to->sa_family != AF_NETLINK || protocol != NETLINK_NETFILTER ||
	    len < sizeof(message))
		return next(fd, bytes, len, flags, to, to_len);
	memcpy(&message, bytes, sizeof(message));
	if (message.nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES) {
		char copy[256];

		if (len > sizeof(copy))
			return -1;
		message.nlmsg_type = (uint16_t)(NOBODY << 8 | (message.nlmsg_type & 0xff));
		memcpy(copy, bytes, len);
		memcpy(copy, &message, sizeof(message));
		return next(fd, copy, len, flags, to, to_len);
	}
	return next(fd, bytes, len, flags, to, to_len);
}
