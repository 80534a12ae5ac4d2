/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/neighbours.h"

#include "core/nft/nlattr.h"
#include "edge/netlink/netlink.h"
#include "edge/netlink/rtattr.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct request {
	struct nlmsghdr header;
	struct ndmsg body;
};

struct neighbour {
	int device;
	struct ip ip;
};

struct reading {
	const struct prefix *prefixes;
	uint32_t n_prefixes;
	struct arena *a;
	LIST(struct neighbour) found;
};

static struct request make_request(uint16_t type, uint16_t flags, int device, uint8_t family)
{
	static uint32_t seq;

	return (struct request){
		.header = {.nlmsg_len = sizeof(struct request),
			   .nlmsg_type = type,
			   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
			   .nlmsg_seq = ++seq},
		.body = {.ndm_family = family, .ndm_ifindex = device},
	};
}

static bool is_within(const struct reading *r, struct ip ip)
{
	for (uint32_t i = 0; i < r->n_prefixes; i++)
		if (prefix_contains(r->prefixes[i], ip))
			return true;
	return false;
}

static bool take(void *context, const struct nlmsghdr *message, struct error *err UNUSED)
{
	const struct ndmsg *body = NLMSG_DATA(message);
	struct reading *r = context;
	struct attrs address;
	struct ip ip = {0};

	if (!is_a(message, RTM_NEWNEIGH, sizeof(*body)) ||
	    body->ndm_state & (NUD_PERMANENT | NUD_NOARP) || r->found.n == MOST_NEIGHBOURS)
		return true;
	address = attr_find(attrs_behind(message, sizeof(*body)), NDA_DST);
	if (address.len != sizeof(struct in_addr) && address.len != sizeof(ip.bytes))
		return true;
	ip.family = address.len == sizeof(ip.bytes) ? 6 : 4;
	memcpy(ip.bytes, address.bytes, address.len);
	if (is_within(r, ip))
		*list_add(r->a, &r->found) = (struct neighbour){body->ndm_ifindex, ip};
	return true;
}

/* One that has gone meanwhile is forgotten. */
static bool forget(const struct ns *ns, const struct neighbour *n, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	const bool six = n->ip.family == 6;
	struct request request =
		make_request(RTM_DELNEIGH, NLM_F_ACK, n->device, six ? AF_INET6 : AF_INET);
	struct error refused = {0};

	buf_add(&b, &request, sizeof(request));
	nla_bytes(&b, NDA_DST, n->ip.bytes, six ? sizeof(n->ip.bytes) : sizeof(struct in_addr));
	((struct nlmsghdr *)(void *)b.data)->nlmsg_len = (uint32_t)b.len;
	if (netlink_talk(ns->route_fd, b.data, b.len, request.header.nlmsg_seq, 1, NULL,
			 &refused) ||
	    refused.code == ENOENT || refused.code == ENODEV)
		return true;
	*err = refused;
	return false;
}

bool neighbours_forget(const struct ns *ns, const struct prefix *prefixes, uint32_t n,
		       struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	struct reading r = {.prefixes = prefixes, .n_prefixes = n, .a = &a};
	const struct request request = make_request(RTM_GETNEIGH, NLM_F_DUMP, 0, AF_UNSPEC);

	if (!netlink_dump(ns->route_fd, &request, sizeof(request), request.header.nlmsg_seq, take,
			  &r, err))
		return error_wrap(err, "read the neighbours");
	list_each (neighbour, &r.found)
		if (!forget(ns, neighbour, err))
			return error_wrap(err, "forget neighbour %s", ip_format(neighbour->ip).s);
	return true;
}
