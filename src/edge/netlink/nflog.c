/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/nflog.h"

#include "core/nft/nlattr.h"
#include "core/ruleset/ruleset.h"
#include "edge/netlink/netlink.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <unistd.h>

enum {
	BATCH_BYTES = 8 << 10, /* the kernel sends so much at a time, … */
	BATCH_CS = 10,	       /* … or what came in this time, in hundredths of a second */
};

static bool configure(int fd, uint16_t group, struct error *err)
{
	const struct nfulnl_msg_config_cmd bind = {NFULNL_CFG_CMD_BIND};
	const struct nfulnl_msg_config_mode mode = {.copy_range = htobe32(LOG_SNAPLEN),
						    .copy_mode = NFULNL_COPY_PACKET};
	AUTO_BUF struct buf b = {0};
	size_t at = nlmsg_begin(&b, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
				NLM_F_REQUEST | NLM_F_ACK, 1, NFPROTO_UNSPEC, group);

	nla_bytes(&b, NFULA_CFG_CMD, &bind, sizeof(bind));
	nla_bytes(&b, NFULA_CFG_MODE, &mode, sizeof(mode));
	nla_be32(&b, NFULA_CFG_NLBUFSIZ, BATCH_BYTES);
	nla_be32(&b, NFULA_CFG_TIMEOUT, BATCH_CS);
	nlmsg_end(&b, at);
	return netlink_talk(fd, b.data, b.len, 1, 1, NULL, err);
}

int nflog_open(bool audits, struct error *err)
{
	static const int no_groups[] = {0};
	int fd = netlink_listen(NETLINK_NETFILTER, no_groups, err);

	if (fd < 0 ||
	    (configure(fd, LOG_GROUP, err) && (!audits || configure(fd, AUDIT_GROUP, err))))
		return fd;
	close(fd);
	if (err->code == EPERM || err->code == EBUSY) {
		*err = (struct error){0};
		error_set(err, -1, "another program listens to nflog group %d or %d", LOG_GROUP,
			  AUDIT_GROUP);
	}
	return -1;
}

struct reading {
	void (*take)(void *context, const struct logged *logged);
	void *context;
};

static bool take_report(void *context, const struct nlmsghdr *message)
{
	const struct reading *r = context;
	struct logged logged;

	if (logged_decode(&logged, message))
		r->take(r->context, &logged);
	return false;
}

bool nflog_read(int fd, void (*take)(void *context, const struct logged *logged), void *context)
{
	struct reading r = {take, context};

	return netlink_hear(fd, take_report, &r) != HEARD_SOMETHING;
}

void nflog_iface(char name[IF_NAMESIZE], uint32_t index)
{
	if (!index || !if_indextoname(index, name))
		*name = '\0';
}
