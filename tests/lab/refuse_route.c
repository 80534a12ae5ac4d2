/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into harborwall by tests/lab/test_strict_refused.py: messages of rtnetlink of the type
 * that HARBORWALL_REFUSED names are refused as by a kernel without memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Under a name of our own: glibc's declaration takes a union of pointers. */
ssize_t refuse(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len) __asm__("sendto");

ssize_t refuse(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	void *symbol = dlsym(RTLD_NEXT, "sendto");
	const char *refused = getenv("HARBORWALL_REFUSED");
	struct nlmsghdr header = {0};
	int protocol = -1;
	socklen_t size = sizeof(protocol);

	memcpy(&next, &symbol, sizeof(next));
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
	memcpy(&header, bytes, len < sizeof(header) ? len : sizeof(header));
	if (refused && to && to->sa_family == AF_NETLINK && protocol == NETLINK_ROUTE &&
	    header.nlmsg_type == atoi(refused)) {
		errno = ENOBUFS;
		return -1;
	}
	return next(fd, bytes, len, flags, to, to_len);
}
