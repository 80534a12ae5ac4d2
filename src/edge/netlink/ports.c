/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/ports.h"

#include "edge/netlink/netlink.h"
#include "edge/netlink/route.h"
#include "edge/netlink/rtattr.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST_PORTS = 1 << 16 }; /* a bridge has 1023 at most; entries, proxies: what a pass reads */

/* A request: its header, a body of one of these kinds, attributes. */
struct request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ndmsg neighbour;
		struct rtgenmsg any;
	} body;
};

static struct request make_request(uint16_t type, uint16_t flags, size_t body)
{
	static uint32_t seq;

	return (struct request){.header = {.nlmsg_len = (uint32_t)NLMSG_SPACE(body),
					   .nlmsg_type = type,
					   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
					   .nlmsg_seq = ++seq}};
}

static void start(struct buf *b, const struct request *request)
{
	buf_add(b, request, request->header.nlmsg_len);
}

static void nla_u32(struct buf *b, uint16_t type, uint32_t value)
{
	nla_bytes(b, type, &value, sizeof(value));
}

/* --- reading --- */

struct reading {
	struct bridge_ports *ports;
	struct arena *a;
};

static bool too_many(uint32_t n, struct error *err)
{
	return n >= MOST_PORTS && !error_set(err, -1, "more than %d of them", MOST_PORTS);
}

static bool take_bridge(void *context, const struct nlmsghdr *message, struct error *err UNUSED)
{
	const struct ifinfomsg *body = NLMSG_DATA(message);
	struct reading *r = context;
	struct attrs info;

	if (!is_a(message, RTM_NEWLINK, sizeof(*body)))
		return true;
	info = attr_find(attrs_behind(message, sizeof(*body)), IFLA_LINKINFO);
	if (!strcmp(attr_text(attr_find(info, IFLA_INFO_KIND)), "bridge"))
		r->ports->index = (uint32_t)body->ifi_index;
	return true;
}

static bool find_bridge(struct reading *r, const struct ns *host, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	struct error refused = {0};

	start(&b, &request);
	nla_text(&b, IFLA_IFNAME, r->ports->bridge);
	finish(&b);
	if (netlink_get(host->route_fd, b.data, b.len, request.header.nlmsg_seq, take_bridge, r,
			&refused) ||
	    refused.code == ENODEV)
		return true;
	*err = refused;
	return false;
}

static bool take_port(void *context, const struct nlmsghdr *message, struct error *err)
{
	const struct ifinfomsg *body = NLMSG_DATA(message);
	struct reading *r = context;
	struct attrs attrs, info, flags;

	if (!is_a(message, RTM_NEWLINK, sizeof(*body)))
		return true;
	attrs = attrs_behind(message, sizeof(*body));
	info = attr_find(attrs, IFLA_LINKINFO);
	if (take_u32(attr_find(attrs, IFLA_MASTER), 0) != r->ports->index ||
	    strcmp(attr_text(attr_find(info, IFLA_INFO_SLAVE_KIND)), "bridge") != 0)
		return true;
	if (too_many(r->ports->ports.n, err))
		return false;
	flags = attr_find(info, IFLA_INFO_SLAVE_DATA);
	r->ports->can_lock |= attr_find(flags, IFLA_BRPORT_LOCKED).len != 0;
	*list_add(r->a, &r->ports->ports) = (struct port){
		.name = arena_strdup(r->a, attr_text(attr_find(attrs, IFLA_IFNAME))),
		.index = (uint32_t)body->ifi_index,
		.nsid = (int32_t)take_u32(attr_find(attrs, IFLA_LINK_NETNSID), (uint32_t)NO_NSID),
		.isolated = take_flag(flags, IFLA_BRPORT_ISOLATED),
		.locked = take_flag(flags, IFLA_BRPORT_LOCKED),
		.learning = take_flag(flags, IFLA_BRPORT_LEARNING),
		.flooded = take_flag(flags, IFLA_BRPORT_UNICAST_FLOOD),
	};
	return true;
}

static bool read_ports(struct reading *r, const struct ns *host, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));

	start(&b, &request);
	nla_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	nla_u32(&b, IFLA_MASTER, r->ports->index);
	finish(&b);
	return netlink_dump(host->route_fd, b.data, b.len, request.header.nlmsg_seq, take_port, r,
			    err);
}

/* The bridge's own table has also the addresses of its ports (NUD_PERMANENT) and learned ones. */
static bool take_entry(void *context, const struct nlmsghdr *message, struct error *err)
{
	const struct ndmsg *body = NLMSG_DATA(message);
	struct reading *r = context;
	struct attrs attrs, mac;
	struct port_entry entry;

	if (!is_a(message, RTM_NEWNEIGH, sizeof(*body)))
		return true;
	attrs = attrs_behind(message, sizeof(*body));
	mac = attr_find(attrs, NDA_LLADDR);
	if (body->ndm_flags & NTF_SELF || !(body->ndm_state & NUD_NOARP) ||
	    take_u32(attr_find(attrs, NDA_MASTER), 0) != r->ports->index ||
	    mac.len != sizeof(entry.mac.bytes))
		return true;
	if (too_many(r->ports->entries.n, err))
		return false;
	entry.port = (uint32_t)body->ndm_ifindex;
	memcpy(entry.mac.bytes, mac.bytes, sizeof(entry.mac.bytes));
	*list_add(r->a, &r->ports->entries) = entry;
	return true;
}

/* One of ours that the host answers for. False: another. */
static bool is_our_proxy(struct ip *ip, uint32_t *bridge, const struct nlmsghdr *message)
{
	const struct ndmsg *body = NLMSG_DATA(message);
	struct attrs attrs, address, protocol;

	if (!is_a(message, RTM_NEWNEIGH, sizeof(*body)) || !(body->ndm_flags & NTF_PROXY))
		return false;
	attrs = attrs_behind(message, sizeof(*body));
	address = attr_find(attrs, NDA_DST);
	protocol = attr_find(attrs, NDA_PROTOCOL);
	*ip = (struct ip){.family = address.len == sizeof(ip->bytes) ? 6 : 4};
	*bridge = (uint32_t)body->ndm_ifindex;
	if (!protocol.len || protocol.bytes[0] != ROUTE_PROTOCOL ||
	    (address.len != sizeof(ip->bytes) && address.len != sizeof(struct in_addr)))
		return false;
	memcpy(ip->bytes, address.bytes, address.len);
	return true;
}

static bool take_proxy(void *context, const struct nlmsghdr *message, struct error *err)
{
	struct reading *r = context;
	uint32_t bridge;
	struct ip ip;

	if (!is_our_proxy(&ip, &bridge, message) || bridge != r->ports->index)
		return true;
	if (too_many(r->ports->proxies.n, err))
		return false;
	*list_add(r->a, &r->ports->proxies) = ip;
	return true;
}

/* Entries of the forwarding table, or what the host answers for. */
static bool read_neighbours(struct reading *r, const struct ns *host, uint8_t family, uint8_t flags,
			    netlink_reader reader, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg));

	request.body.neighbour.ndm_family = family;
	request.body.neighbour.ndm_flags = flags;
	start(&b, &request);
	nla_u32(&b, flags & NTF_PROXY ? NDA_IFINDEX : NDA_MASTER, r->ports->index);
	finish(&b);
	return netlink_dump(host->route_fd, b.data, b.len, request.header.nlmsg_seq, reader, r,
			    err);
}

static const char *path_of(struct buf *path, const char *bridge, enum port_switch which)
{
	buf_puts(path, "/proc/sys/");
	port_switch_print(path, bridge, which, '/');
	return buf_text(path);
}

static bool read_switches(struct bridge_ports *ports, const struct ns *host, struct error *err)
{
	for (enum port_switch which = 0; which < N_PORT_SWITCHES; which++) {
		AUTO_BUF struct buf path = {0};

		if (ns_get_switch(host, path_of(&path, ports->bridge, which),
				  &ports->switches[which], err))
			continue;
		if (err->code != ENOENT)
			return false;
		*err = (struct error){0};
		ports->switches[which] = -1;
	}
	return true;
}

static int by_index(const void *left, const void *right)
{
	const struct port *a = left, *b = right;

	return (a->index > b->index) - (a->index < b->index);
}

static void sort(struct bridge_ports *ports)
{
	if (ports->ports.n)
		qsort(ports->ports.items, ports->ports.n, sizeof(*ports->ports.items), by_index);
	if (ports->entries.n)
		qsort(ports->entries.items, ports->entries.n, sizeof(*ports->entries.items),
		      port_entry_order);
	if (ports->proxies.n)
		qsort(ports->proxies.items, ports->proxies.n, sizeof(*ports->proxies.items),
		      ip_order);
}

bool ports_read(struct bridge_ports *ports, struct arena *a, const struct ns *host,
		const char *bridge, struct error *err)
{
	struct reading r = {.ports = ports, .a = a};

	*ports = (struct bridge_ports){.bridge = bridge};
	if (!find_bridge(&r, host, err))
		return error_wrap(err, "look for bridge %s", bridge);
	if (!ports->index)
		return true;
	if (!read_ports(&r, host, err) ||
	    !read_neighbours(&r, host, AF_BRIDGE, 0, take_entry, err) ||
	    !read_neighbours(&r, host, AF_UNSPEC, NTF_PROXY, take_proxy, err) ||
	    !read_switches(ports, host, err))
		return error_wrap(err, "read the ports of bridge %s", bridge);
	sort(ports);
	return true;
}

/* A bridge that is gone is the engine's to tell: every interface has the first switch. */
static bool differs(const struct bridge_ports *expected, const struct ns *host)
{
	AUTO_RELEASE struct arena a = {0};
	struct bridge_ports now = {.bridge = expected->bridge, .index = expected->index};
	struct reading r = {.ports = &now, .a = &a};
	struct error err = {0};

	if (!read_neighbours(&r, host, AF_UNSPEC, NTF_PROXY, take_proxy, &err) ||
	    !read_switches(&now, host, &err) || now.switches[SWITCH_PROXY_ARP] < 0)
		return false;
	sort(&now);
	return memcmp(now.switches, expected->switches, sizeof(now.switches)) != 0 ||
	       now.proxies.n != expected->proxies.n ||
	       (now.proxies.n && memcmp(now.proxies.items, expected->proxies.items,
					now.proxies.n * sizeof(struct ip)) != 0);
}

bool ports_differ(const bridge_ports_list *expected, const struct ns *host)
{
	list_each (ports, expected)
		if (ports->index && differs(ports, host))
			return true;
	return false;
}

struct marks {
	name_list *bridges;
	struct arena *a;
};

static bool take_mark(void *context, const struct nlmsghdr *message, struct error *err UNUSED)
{
	struct marks *m = context;
	char name[IF_NAMESIZE];
	uint32_t bridge;
	struct ip ip;

	if (!is_our_proxy(&ip, &bridge, message) || !if_indextoname(bridge, name))
		return true;
	list_each (known, m->bridges)
		if (!strcmp(*known, name))
			return true;
	*list_add(m->a, m->bridges) = arena_strdup(m->a, name);
	return true;
}

bool ports_find_marked(name_list *bridges, struct arena *a, const struct ns *host,
		       struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg));
	struct marks marks = {bridges, a};

	request.body.neighbour.ndm_flags = NTF_PROXY;
	start(&b, &request);
	finish(&b);
	return netlink_dump(host->route_fd, b.data, b.len, request.header.nlmsg_seq, take_mark,
			    &marks, err) ||
	       error_wrap(err, "look for bridges whose ports are ours");
}

static bool take_nsid(void *context, const struct nlmsghdr *message, struct error *err UNUSED)
{
	int32_t *nsid = context;

	if (is_a(message, RTM_NEWNSID, sizeof(struct rtgenmsg)))
		*nsid = (int32_t)take_u32(
			attr_find(attrs_behind(message, sizeof(struct rtgenmsg)), NETNSA_NSID),
			(uint32_t)NO_NSID);
	return true;
}

bool ports_find_nsid(int32_t *nsid, const struct ns *host, const struct ns *container,
		     struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(RTM_GETNSID, 0, sizeof(struct rtgenmsg));

	*nsid = NO_NSID;
	start(&b, &request);
	nla_u32(&b, NETNSA_FD, (uint32_t)container->ns_fd);
	finish(&b);
	return netlink_get(host->route_fd, b.data, b.len, request.header.nlmsg_seq, take_nsid, nsid,
			   err) ||
	       error_wrap(err, "number of a network namespace");
}

/* --- writing --- */

static bool talk(const struct ns *host, struct buf *b, const struct request *request,
		 struct error *err)
{
	struct error refused = {0};

	finish(b);
	if (netlink_talk(host->route_fd, b->data, b->len, request->header.nlmsg_seq, 1, NULL,
			 &refused) ||
	    refused.code == ENODEV || refused.code == ENOENT)
		return true;
	*err = refused;
	return false;
}

bool ports_set_flags(const struct ns *host, const struct port *port, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(RTM_SETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
	size_t at;

	request.body.link.ifi_family = AF_BRIDGE;
	request.body.link.ifi_index = (int)port->index;
	start(&b, &request);
	at = nla_begin(&b, IFLA_PROTINFO | NLA_F_NESTED);
	nla_byte(&b, IFLA_BRPORT_ISOLATED, port->isolated);
	nla_byte(&b, IFLA_BRPORT_LOCKED, port->locked);
	nla_byte(&b, IFLA_BRPORT_LEARNING, port->learning);
	nla_byte(&b, IFLA_BRPORT_UNICAST_FLOOD, port->flooded);
	/* a locked port also takes frames from what it learned before */
	if (port->locked)
		nla_bytes(&b, IFLA_BRPORT_FLUSH, NULL, 0);
	nla_end(&b, at);
	/* EOPNOTSUPP: the interface has left the bridge */
	if (talk(host, &b, &request, err))
		return true;
	if (err->code == EOPNOTSUPP) {
		*err = (struct error){0};
		return true;
	}
	return error_wrap(err, "set the flags of port %s", port->name);
}

bool ports_set_entry(const struct ns *host, const struct port_entry *entry, bool there,
		     struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(
		there ? RTM_NEWNEIGH : RTM_DELNEIGH,
		there ? NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE : NLM_F_ACK, sizeof(struct ndmsg));

	request.body.neighbour = (struct ndmsg){.ndm_family = AF_BRIDGE,
						.ndm_ifindex = (int)entry->port,
						.ndm_state = NUD_NOARP,
						.ndm_flags = NTF_MASTER};
	start(&b, &request);
	nla_bytes(&b, NDA_LLADDR, entry->mac.bytes, sizeof(entry->mac.bytes));
	return talk(host, &b, &request, err) ||
	       error_wrap(err, "%s the forwarding entry of a port", there ? "add" : "remove");
}

bool ports_set_proxy(const struct ns *host, uint32_t bridge, struct ip ip, bool there,
		     struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(
		there ? RTM_NEWNEIGH : RTM_DELNEIGH,
		there ? NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE : NLM_F_ACK, sizeof(struct ndmsg));

	request.body.neighbour = (struct ndmsg){.ndm_family = af(ip.family),
						.ndm_ifindex = (int)bridge,
						.ndm_state = NUD_PERMANENT,
						.ndm_flags = NTF_PROXY};
	start(&b, &request);
	nla_bytes(&b, NDA_DST, ip.bytes,
		  ip.family == 6 ? sizeof(ip.bytes) : sizeof(struct in_addr));
	if (there)
		nla_byte(&b, NDA_PROTOCOL, ROUTE_PROTOCOL);
	return talk(host, &b, &request, err) ||
	       error_wrap(err, "%s %s in the place of its container",
			  there ? "answer for" : "stop to answer for", ip_format(ip).s);
}

bool ports_set_switch(const struct ns *host, const char *bridge, enum port_switch which, int value,
		      struct error *err)
{
	AUTO_BUF struct buf path = {0};

	return ns_set_switch(host, path_of(&path, bridge, which), value, err);
}
