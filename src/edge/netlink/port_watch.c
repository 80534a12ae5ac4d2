/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/port_watch.h"

#include "edge/netlink/netlink.h"
#include "edge/netlink/rtattr.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

void port_watch_release(struct port_watch *watch)
{
	arena_release(&watch->arena);
	*watch = (struct port_watch){0};
}

void port_watch_expect(struct port_watch *watch, const bridge_ports_list *expected)
{
	port_watch_release(watch);
	list_each (ports, expected)
		ports_copy(list_add(&watch->arena, &watch->expected), &watch->arena, ports);
}

static const struct bridge_ports *find(const struct port_watch *watch, uint32_t bridge)
{
	list_each (ports, &watch->expected)
		if (bridge && ports->index == bridge)
			return ports;
	return NULL;
}

/* A bridge that was made since the last pass has another index. */
static const struct bridge_ports *find_by_name(const struct port_watch *watch, uint32_t bridge)
{
	char name[IF_NAMESIZE];

	if (!bridge || !if_indextoname(bridge, name))
		return NULL;
	list_each (ports, &watch->expected)
		if (!strcmp(ports->bridge, name))
			return ports;
	return NULL;
}

static bool has_port(const struct bridge_ports *ports, uint32_t index)
{
	list_each (port, &ports->ports)
		if (port->index == index)
			return true;
	return false;
}

/* Those beyond the bound wait for the pass. */
static void note_opened(struct port_watch *watch, uint32_t port)
{
	if (watch->n_opened < MOST_OPENED)
		watch->opened[watch->n_opened++] = port;
}

/* A flag that the kernel does not have is as it should be. */
static bool is_flag(struct attrs flags, uint16_t type, bool expected)
{
	struct attrs value = attr_find(flags, type);

	return !value.len || !value.bytes[0] == !expected;
}

/* A port that is new is open, too. */
static bool is_open_port(struct port_watch *watch, const struct nlmsghdr *message)
{
	const struct ifinfomsg *body = NLMSG_DATA(message);
	struct attrs attrs = attrs_behind(message, sizeof(*body));
	struct attrs flags = attr_find(attrs, IFLA_PROTINFO);
	const struct bridge_ports *ports;
	uint32_t bridge;

	if (!flags.len || (is_flag(flags, IFLA_BRPORT_ISOLATED, true) &&
			   is_flag(flags, IFLA_BRPORT_LOCKED, true) &&
			   is_flag(flags, IFLA_BRPORT_LEARNING, false) &&
			   is_flag(flags, IFLA_BRPORT_UNICAST_FLOOD, false)))
		return false;
	bridge = take_u32(attr_find(attrs, IFLA_MASTER), 0);
	ports = find(watch, bridge);
	ports = ports ? ports : find_by_name(watch, bridge);
	if (ports && !has_port(ports, (uint32_t)body->ifi_index))
		note_opened(watch, (uint32_t)body->ifi_index);
	return ports != NULL;
}

/* An entry that stays: one that is not expected is there now, or one that is has gone. */
static bool is_other_entry(const struct port_watch *watch, const struct nlmsghdr *message)
{
	const struct ndmsg *body = NLMSG_DATA(message);
	struct attrs attrs = attrs_behind(message, sizeof(*body));
	const struct bridge_ports *ports = find(watch, take_u32(attr_find(attrs, NDA_MASTER), 0));
	struct attrs mac = attr_find(attrs, NDA_LLADDR);
	struct port_entry entry = {.port = (uint32_t)body->ndm_ifindex};

	if (!ports || body->ndm_flags & NTF_SELF || mac.len != sizeof(entry.mac))
		return false;
	memcpy(&entry.mac, mac.bytes, sizeof(entry.mac));
	if (!(body->ndm_state & NUD_NOARP)) /* one of ours that somebody made an ordinary one */
		return ports_have_entry(ports, &entry);
	return ports_have_entry(ports, &entry) != (message->nlmsg_type == RTM_NEWNEIGH);
}

bool port_watch_is_news(struct port_watch *watch, const struct nlmsghdr *message)
{
	if (!watch->expected.n)
		return false;
	if (is_a(message, RTM_NEWLINK, sizeof(struct ifinfomsg)))
		return is_open_port(watch, message);
	return (is_a(message, RTM_NEWNEIGH, sizeof(struct ndmsg)) ||
		is_a(message, RTM_DELNEIGH, sizeof(struct ndmsg))) &&
	       ((const struct ndmsg *)NLMSG_DATA(message))->ndm_family == AF_BRIDGE &&
	       is_other_entry(watch, message);
}

/* The family is the first byte of a link's and of a neighbour's body. */
static void filter(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWNETCONF), 2, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NLMSG_HDRLEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_BRIDGE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	/* without it everything is looked at here */
	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void port_watch_hear(int event_fd, bool on)
{
	if (event_fd >= 0 && on)
		filter(event_fd);
	netlink_hear_group(event_fd, RTNLGRP_LINK, on);
	netlink_hear_group(event_fd, RTNLGRP_NEIGH, on);
}
