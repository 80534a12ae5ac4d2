/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink messages and attributes in a buffer (linux/netlink.h). They are written by offset,
 * because the buffer moves when it grows, and read with every length checked. Pure: bytes only, no
 * sockets.
 */
#pragma once

#include "base/buf.h"

#include <linux/netlink.h>

/* A message header and the nfgenmsg after it; nlmsg_end fills in the length. */
size_t nlmsg_begin(struct buf *b, uint16_t type, uint16_t flags, uint32_t seq, uint8_t family,
		   uint16_t res_id);
void nlmsg_end(struct buf *b, size_t at);

/* NFPROTO_* of 4 or 6. */
uint8_t nfproto(uint8_t family);
size_t nla_begin(struct buf *b, uint16_t type);
void nla_end(struct buf *b, size_t at);
void nla_bytes(struct buf *b, uint16_t type, const void *bytes, size_t len);
void nla_text(struct buf *b, uint16_t type, const char *text); /* with its terminating NUL */
void nla_be16(struct buf *b, uint16_t type, uint16_t value);
void nla_be32(struct buf *b, uint16_t type, uint32_t value);
void nla_be64(struct buf *b, uint16_t type, uint64_t value);
void nla_byte(struct buf *b, uint16_t type, uint8_t value);

/* A sequence of received attributes. */
struct attrs {
	const uint8_t *bytes;
	size_t len;
};

/*
 * Reads the next attribute. False at the end, or if a length is wrong. Takes the NLA_F_* flags off
 * the type.
 */
bool attr_next(struct attrs *rest, uint16_t *type, struct attrs *value);
/* The first attribute of this type; len 0 and bytes NULL if there is none. */
struct attrs attr_find(struct attrs attrs, uint16_t type);
uint32_t attr_be32(struct attrs value); /* 0 if it is too short */
uint64_t attr_be64(struct attrs value);
const char *attr_text(struct attrs value); /* "" if it does not end with NUL */
/* The attributes after a message's header and nfgenmsg. */
struct attrs nlmsg_attrs(const struct nlmsghdr *message);
