/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/nft/nlattr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static size_t aligned(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

size_t nlmsg_begin(struct buf *b, uint16_t type, uint16_t flags, uint32_t seq, uint8_t family,
		   uint16_t res_id)
{
	struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = seq};
	struct nfgenmsg nf = {
		.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(res_id)};
	size_t at = b->len;

	buf_add(b, &header, sizeof(header));
	buf_add(b, &nf, sizeof(nf));
	return at;
}

void nlmsg_end(struct buf *b, size_t at)
{
	uint32_t len = (uint32_t)(b->len - at);

	memcpy(b->data + at, &len, sizeof(len)); /* nlmsg_len is the first field */
}

uint8_t nfproto(uint8_t family)
{
	return family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
}

size_t nla_begin(struct buf *b, uint16_t type)
{
	struct nlattr attr = {.nla_type = type};
	size_t at = b->len;

	memcpy(buf_take(b, sizeof(attr)), &attr, sizeof(attr));
	return at;
}

static void pad(struct buf *b, size_t len)
{
	size_t more = aligned(len) - len;

	if (more)
		memset(buf_take(b, more), 0, more);
}

void nla_end(struct buf *b, size_t at)
{
	uint16_t len = (uint16_t)(b->len - at);

	memcpy(b->data + at, &len, sizeof(len)); /* nla_len is the first field */
	pad(b, len);
}

void nla_bytes(struct buf *b, uint16_t type, const void *bytes, size_t len)
{
	struct nlattr attr = {.nla_type = type, .nla_len = (uint16_t)(sizeof(attr) + len)};

	memcpy(buf_take(b, sizeof(attr)), &attr, sizeof(attr));
	buf_add(b, bytes, len);
	pad(b, len);
}

void nla_text(struct buf *b, uint16_t type, const char *text)
{
	nla_bytes(b, type, text, strlen(text) + 1);
}

/* The common attribute of one word, written at once. */
void nla_be16(struct buf *b, uint16_t type, uint16_t value)
{
	const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	nla_bytes(b, type, bytes, sizeof(bytes));
}

void nla_be32(struct buf *b, uint16_t type, uint32_t value)
{
	struct {
		struct nlattr attr;
		uint32_t value;
	} word = {{.nla_type = type, .nla_len = sizeof(word)}, htobe32(value)};

	memcpy(buf_take(b, sizeof(word)), &word, sizeof(word));
}

void nla_be64(struct buf *b, uint16_t type, uint64_t value)
{
	value = htobe64(value);
	nla_bytes(b, type, &value, sizeof(value));
}

void nla_byte(struct buf *b, uint16_t type, uint8_t value)
{
	nla_bytes(b, type, &value, sizeof(value));
}

bool attr_next(struct attrs *rest, uint16_t *type, struct attrs *value)
{
	struct nlattr attr;

	if (rest->len < sizeof(attr))
		return false;
	memcpy(&attr, rest->bytes, sizeof(attr));
	if (attr.nla_len < sizeof(attr) || attr.nla_len > rest->len)
		return false;
	*type = (uint16_t)(attr.nla_type & ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER));
	*value = (struct attrs){rest->bytes + sizeof(attr), attr.nla_len - sizeof(attr)};
	if (aligned(attr.nla_len) >= rest->len)
		*rest = (struct attrs){0};
	else
		*rest = (struct attrs){rest->bytes + aligned(attr.nla_len),
				       rest->len - aligned(attr.nla_len)};
	return true;
}

struct attrs attr_find(struct attrs attrs, uint16_t type)
{
	struct attrs value;
	uint16_t found;

	while (attr_next(&attrs, &found, &value))
		if (found == type)
			return value;
	return (struct attrs){0};
}

uint32_t attr_be32(struct attrs value)
{
	uint32_t word;

	if (value.len < sizeof(word))
		return 0;
	memcpy(&word, value.bytes, sizeof(word));
	return be32toh(word);
}

uint64_t attr_be64(struct attrs value)
{
	uint64_t word;

	if (value.len < sizeof(word))
		return 0;
	memcpy(&word, value.bytes, sizeof(word));
	return be64toh(word);
}

const char *attr_text(struct attrs value)
{
	return value.len && value.bytes[value.len - 1] == '\0' ? (const char *)value.bytes : "";
}

struct attrs nlmsg_attrs(const struct nlmsghdr *message)
{
	size_t header = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));

	if (message->nlmsg_len < header)
		return (struct attrs){0};
	return (struct attrs){(const uint8_t *)message + header, message->nlmsg_len - header};
}
