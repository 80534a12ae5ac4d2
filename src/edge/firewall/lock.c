/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/firewall/lock.h"

#include "base/buf.h"
#include "core/nft/nlattr.h"
#include "edge/netlink/netlink.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOCK_TABLE "harborwall_lock"

enum { COMMENT = 0 /* nft's type of userdata */ };

/* A comment as nft writes it: type, length, text with its NUL. */
static void add_comment(struct buf *b, const char *verb)
{
	bool daemon = !strcmp(verb, "run");
	char tlv[2 + LOCK_TEXT];
	int len = snprintf(tlv + 2, sizeof(tlv) - 2, "pid %d%s%.16s", getpid(), daemon ? "" : ", ",
			   daemon ? "" : verb) +
		  1;

	tlv[0] = COMMENT;
	tlv[1] = (char)len;
	nla_bytes(b, NFTA_TABLE_USERDATA, tlv, (size_t)len + 2);
}

static void encode(struct buf *b, const char *verb)
{
	const uint16_t add = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE;
	size_t at;

	at = nlmsg_begin(b, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 1, AF_UNSPEC,
			 NFNL_SUBSYS_NFTABLES);
	nlmsg_end(b, at);
	at = nlmsg_begin(b, add, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 2,
			 NFPROTO_INET, 0);
	nla_text(b, NFTA_TABLE_NAME, LOCK_TABLE);
	nla_be32(b, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	add_comment(b, verb);
	nlmsg_end(b, at);
	at = nlmsg_begin(b, NFNL_MSG_BATCH_END, NLM_F_REQUEST, 3, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	nlmsg_end(b, at);
}

static bool take_holder(void *text, const struct nlmsghdr *message, struct error *err)
{
	struct attrs userdata = attr_find(nlmsg_attrs(message), NFTA_TABLE_USERDATA);

	(void)err;
	if (userdata.len > 2 && userdata.bytes[0] == COMMENT && userdata.bytes[1] &&
	    userdata.len >= 2u + userdata.bytes[1])
		snprintf(text, LOCK_TEXT, "%.*s", userdata.bytes[1] - 1,
			 (const char *)userdata.bytes + 2);
	else
		snprintf(text, LOCK_TEXT, "unknown");
	return true;
}

static bool ask_holder(char text[LOCK_TEXT], int fd, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	size_t at = nlmsg_begin(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_REQUEST, 1,
				NFPROTO_INET, 0);

	*text = '\0';
	nla_text(&b, NFTA_TABLE_NAME, LOCK_TABLE);
	nlmsg_end(&b, at);
	if (netlink_get(fd, b.data, b.len, 1, take_holder, text, err))
		return true;
	if (err->code != ENOENT)
		return false;
	*err = (struct error){0};
	return true;
}

bool lock_holder(char holder[LOCK_TEXT], const struct ns *host, struct error *err)
{
	return ask_holder(holder, host->nf_fd, err) || error_wrap(err, "look for a running daemon");
}

bool lock_is_passing(const char *holder)
{
	return strchr(holder, ',') != NULL;
}

int lock_take(char holder[LOCK_TEXT], const char *verb, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	int fd = netlink_open(NETLINK_NETFILTER, err);
	struct error none = {0};

	/* no nf_tables: then there is only trust, too */
	if (fd < 0 && err->code == EPROTONOSUPPORT) {
		*err = (struct error){0};
		return netlink_open(NETLINK_ROUTE, err);
	}
	if (fd < 0)
		return -1;
	encode(&b, verb);
	if (netlink_talk(fd, b.data, b.len, 1, 3, NULL, err))
		return fd;
	/* older kernels have no owned tables: two processes can hold the lock */
	if (err->code == EOPNOTSUPP || err->code == EINVAL) {
		*err = (struct error){0};
		return fd;
	}
	if ((err->code == EEXIST || err->code == EPERM) && ask_holder(holder, fd, &none)) {
		*err = (struct error){0};
		error_set(err, -1, "another harborwall is running on this host (%s); stop it first",
			  holder);
		err->code = EBUSY;
	}
	close(fd);
	return -1;
}
