/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink messages and attributes in a buffer (linux/netlink.h): written by offset, because the
 * buffer moves while it grows; read with every length checked. Pure bytes, no sockets.
 */
#pragma once

#include "base/buf.h"

#include <linux/netlink.h>

/* A message header and the nfgenmsg behind it; *_end fills in the length. */
size_t nlmsg_begin(struct buf *b, uint16_t type, uint16_t flags, uint32_t seq, uint8_t family,
		   uint16_t res_id);
void nlmsg_end(struct buf *b, size_t at);

size_t nla_begin(struct buf *b, uint16_t type);
void nla_end(struct buf *b, size_t at);
void nla_bytes(struct buf *b, uint16_t type, const void *bytes, size_t len);
void nla_text(struct buf *b, uint16_t type, const char *text); /* with its NUL */
void nla_be16(struct buf *b, uint16_t type, uint16_t value);
void nla_be32(struct buf *b, uint16_t type, uint32_t value);
void nla_be64(struct buf *b, uint16_t type, uint64_t value);
void nla_byte(struct buf *b, uint16_t type, uint8_t value);

/* A run of attributes, as they were received. */
struct attrs {
	const uint8_t *bytes;
	size_t len;
};

/* The next attribute; false at the end or where a length lies. NLA_F_* are taken off the type. */
bool attr_next(struct attrs *rest, uint16_t *type, struct attrs *value);
/* The first attribute of a type; len 0 and bytes NULL if there is none. */
struct attrs attr_find(struct attrs attrs, uint16_t type);
uint32_t attr_be32(struct attrs value); /* 0 if it is too short */
uint64_t attr_be64(struct attrs value);
const char *attr_text(struct attrs value); /* "" unless it ends with its NUL */
/* The attributes behind header and nfgenmsg. */
struct attrs nlmsg_attrs(const struct nlmsghdr *message);
