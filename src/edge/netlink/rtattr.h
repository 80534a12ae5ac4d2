/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of rtnetlink's messages, which stand behind bodies of several kinds. */
#pragma once

#include "core/nft/nlattr.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

/* Attributes behind header and body; none where the message is too short for them. */
static inline struct attrs attrs_behind(const struct nlmsghdr *message, size_t body)
{
	size_t head = NLMSG_SPACE(body);

	if (message->nlmsg_len < head)
		return (struct attrs){0};
	return (struct attrs){(const uint8_t *)message + head, message->nlmsg_len - head};
}

static inline bool is_a(const struct nlmsghdr *message, uint16_t type, size_t body)
{
	return message->nlmsg_type == type && message->nlmsg_len >= NLMSG_LENGTH(body);
}

static inline uint32_t take_u32(struct attrs value, uint32_t otherwise)
{
	uint32_t number = otherwise;

	if (value.len == sizeof(number))
		memcpy(&number, value.bytes, sizeof(number));
	return number;
}

static inline bool take_flag(struct attrs attrs, uint16_t type)
{
	struct attrs value = attr_find(attrs, type);

	return value.len && value.bytes[0];
}

/* Of 4 or 6. */
static inline unsigned char af(uint8_t family)
{
	return family == 6 ? AF_INET6 : AF_INET;
}

/* The length of a request whose attributes are all there. */
static inline void finish(struct buf *b)
{
	((struct nlmsghdr *)(void *)b->data)->nlmsg_len = (uint32_t)b->len;
}
