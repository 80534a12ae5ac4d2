/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/route.h"

#include "core/nft/nlattr.h"
#include "edge/netlink/netlink.h"
#include "edge/netlink/rtattr.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A request: header, rtmsg, attributes. */
struct request {
	struct nlmsghdr header;
	struct rtmsg body;
};

static uint32_t next_seq(void)
{
	static uint32_t seq;

	return ++seq;
}

static struct request make_request(uint16_t type, uint16_t flags, uint8_t family)
{
	return (struct request){
		.header = {.nlmsg_type = type,
			   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
			   .nlmsg_seq = next_seq()},
		.body = {.rtm_family = af(family), .rtm_table = RT_TABLE_MAIN},
	};
}

/* --- reading --- */

struct reading {
	uint8_t family;	    /* 4 or 6 */
	route_list *routes; /* ours, no more than most (0: no bound), or */
	uint32_t most;
	host_prefix_list *prefixes; /* everybody else's */
	struct arena *a;
};

static struct ip take_ip(struct attrs value)
{
	struct ip ip = {0};

	if (value.len == 4 || value.len == 16) {
		ip.family = value.len == 4 ? 4 : 6;
		memcpy(ip.bytes, value.bytes, value.len);
	}
	return ip;
}

/* A route of somebody else's, or an address of the host (table local). */
static bool is_taken(const struct rtmsg *body)
{
	return (body->rtm_table == RT_TABLE_MAIN && body->rtm_protocol != ROUTE_PROTOCOL) ||
	       (body->rtm_table == RT_TABLE_LOCAL && body->rtm_type == RTN_LOCAL);
}

/* A route that leads nowhere; NULL for one that leads to an interface. */
static const char *dead_name(uint8_t type)
{
	static const char *const names[] = {[RTN_BLACKHOLE] = "blackhole",
					    [RTN_UNREACHABLE] = "unreachable",
					    [RTN_PROHIBIT] = "prohibit",
					    [RTN_THROW] = "throw"};

	return type < COUNT_OF(names) ? names[type] : NULL;
}

/* Its number, until name_devices finds the name. A route with several next hops has none. */
static const char *device_of(struct arena *a, struct attrs route)
{
	if (attr_find(route, RTA_MULTIPATH).bytes)
		return "several interfaces";
	return arena_printf(a, "interface %u", take_u32(attr_find(route, RTA_OIF), 0));
}

/* A default route that packets follow when no rule says otherwise. */
static bool is_default(const struct rtmsg *body)
{
	return !body->rtm_dst_len && body->rtm_table == RT_TABLE_MAIN &&
	       body->rtm_type == RTN_UNICAST;
}

/* What every interface has for itself says nothing of where packets go. */
static bool is_link_local(struct prefix p)
{
	return p.ip.family == 6 && p.ip.bytes[0] == 0xfe && (p.ip.bytes[1] & 0xc0) == 0x80;
}

static bool take_route(void *context, const struct nlmsghdr *message, struct error *err)
{
	const struct rtmsg *body = NLMSG_DATA(message);
	struct reading *r = context;
	struct attrs attrs;
	struct prefix dst;

	if (!is_a(message, RTM_NEWROUTE, sizeof(*body)))
		return true;
	attrs = attrs_behind(message, sizeof(*body));
	if (body->rtm_family != af(r->family) || body->rtm_flags & RTM_F_CLONED)
		return true;
	dst.ip = take_ip(attr_find(attrs, RTA_DST));
	dst.len = body->rtm_dst_len;
	if ((!dst.ip.family && !is_default(body)) || is_link_local(dst))
		return true;
	if (r->most && r->routes && r->routes->n == r->most)
		return error_set(err, -1, "more than %u routes bear our protocol number", r->most);
	if (r->routes && dst.ip.family && body->rtm_protocol == ROUTE_PROTOCOL)
		*list_add(r->a, r->routes) =
			(struct route){.dst = dst,
				       .via = take_ip(attr_find(attrs, RTA_GATEWAY)),
				       .origin = NONE,
				       .table = take_u32(attr_find(attrs, RTA_TABLE), 0)};
	if (r->prefixes && is_taken(body))
		*list_add(r->a, r->prefixes) =
			(struct host_prefix){.prefix = dst,
					     .device = device_of(r->a, attrs),
					     .dead = dead_name(body->rtm_type),
					     .advertised = body->rtm_protocol == RTPROT_RA};
	return true;
}

static bool read_routes(struct reading *r, const struct ns *ns, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct request request = make_request(RTM_GETROUTE, NLM_F_DUMP, r->family);

	/* strict checking of dumps: the kernel leaves out what is not asked for */
	request.body.rtm_table = RT_TABLE_UNSPEC;
	request.body.rtm_protocol = r->routes ? ROUTE_PROTOCOL : RTPROT_UNSPEC;
	buf_add(&b, &request, sizeof(request));
	finish(&b);
	if (netlink_dump(ns->route_fd, b.data, b.len, request.header.nlmsg_seq, take_route, r, err))
		return true;
	if (err->code != ENOENT)
		return error_wrap(err, "read routes");
	*err = (struct error){0}; /* where no interface was ever up there is no table main */
	return true;
}

static int by_destination(const void *left, const void *right)
{
	return route_compare(left, right);
}

bool route_read(route_list *routes, struct arena *a, const struct ns *ns, struct error *err)
{
	each_family (family) {
		struct reading r = {
			.family = family, .routes = routes, .most = ns->most_routes, .a = a};

		if (!read_routes(&r, ns, err))
			return false;
	}
	if (routes->n)
		qsort(routes->items, routes->n, sizeof(*routes->items), by_destination);
	return true;
}

/* --- devices have names --- */

struct naming {
	host_prefix_list *prefixes;
	struct arena *a;
};

static bool take_link(void *context, const struct nlmsghdr *message, struct error *err UNUSED)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	struct naming *n = context;
	const char *name, *number;

	if (!is_a(message, RTM_NEWLINK, sizeof(*link)))
		return true;
	name = attr_text(attr_find(attrs_behind(message, sizeof(*link)), IFLA_IFNAME));
	number = arena_printf(n->a, "interface %d", link->ifi_index);
	list_each (p, n->prefixes)
		if (!strcmp(p->device, number))
			p->device = arena_strdup(n->a, name);
	return true;
}

static bool name_devices(struct naming *n, const struct ns *ns, struct error *err)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg body;
	} request = {.header = {.nlmsg_len = sizeof(request),
				.nlmsg_type = RTM_GETLINK,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				.nlmsg_seq = next_seq()}};

	if (netlink_dump(ns->route_fd, &request, sizeof(request), request.header.nlmsg_seq,
			 take_link, n, err))
		return true;
	return error_wrap(err, "read interfaces");
}

bool route_read_prefixes(host_prefix_list *prefixes, struct arena *a, const struct ns *ns,
			 uint8_t family, struct error *err)
{
	struct reading r = {.family = family, .prefixes = prefixes, .a = a};
	struct naming n = {.prefixes = prefixes, .a = a};

	return read_routes(&r, ns, err) && name_devices(&n, ns, err);
}

static bool take_nothing(void *context UNUSED, const struct nlmsghdr *message UNUSED,
			 struct error *err UNUSED)
{
	return true;
}

bool route_has_link(bool *has, const struct ns *ns, const char *name, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	struct {
		struct nlmsghdr header;
		struct ifinfomsg body;
	} request = {.header = {.nlmsg_type = RTM_GETLINK,
				.nlmsg_flags = NLM_F_REQUEST,
				.nlmsg_seq = next_seq()}};
	struct error refused = {0};

	buf_add(&b, &request, sizeof(request));
	nla_text(&b, IFLA_IFNAME, name);
	finish(&b);
	*has = netlink_get(ns->route_fd, b.data, b.len, request.header.nlmsg_seq, take_nothing,
			   NULL, &refused);
	if (*has || refused.code == ENODEV)
		return true;
	*err = refused;
	return error_wrap(err, "look for interface %s", name);
}

bool route_has_interface(const struct ns *ns, const char *name)
{
	struct error err = {0};
	bool has;

	return !route_has_link(&has, ns, name, &err) || has;
}

/* --- writing --- */

static bool talk(const struct ns *ns, uint16_t type, uint16_t flags, const struct route *route,
		 struct error *err)
{
	AUTO_BUF struct buf b = {0};
	const uint8_t family = route->dst.ip.family;
	const size_t len = ip_bits(route->dst.ip) / 8;
	struct request request = make_request(type, (uint16_t)(NLM_F_ACK | flags), family);

	request.body.rtm_table = RT_TABLE_UNSPEC; /* larger numbers go into the attribute only */
	request.body.rtm_dst_len = route->dst.len;
	request.body.rtm_protocol = ROUTE_PROTOCOL;
	request.body.rtm_type = type == RTM_NEWROUTE ? RTN_UNICAST : RTN_UNSPEC;
	request.body.rtm_scope = type != RTM_NEWROUTE ? RT_SCOPE_NOWHERE
				 : route->via.family  ? RT_SCOPE_UNIVERSE
						      : RT_SCOPE_LINK;
	buf_add(&b, &request, sizeof(request));
	nla_bytes(&b, RTA_DST, route->dst.ip.bytes, len);
	if (route->via.family)
		nla_bytes(&b, RTA_GATEWAY, route->via.bytes, len);
	if (route->device)
		nla_bytes(&b, RTA_OIF, &route->device, sizeof(route->device));
	nla_bytes(&b, RTA_TABLE, &route->table, sizeof(route->table));
	finish(&b);
	return netlink_talk(ns->route_fd, b.data, b.len, request.header.nlmsg_seq, 1, NULL, err);
}

static bool is_ours(bool *ours, const struct ns *ns, const struct route *route, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	route_list routes = {0};

	*ours = false;
	if (!route_read(&routes, &a, ns, err))
		return false;
	list_each (r, &routes)
		*ours |= route_compare(r, route) == 0;
	return true;
}

/*
 * NLM_F_REPLACE would take the first route to the prefix, whosever it is: so it is said only when
 * the one that stands is ours. All routes are read for that, so only where one stands: a list may
 * need thousands.
 */
bool route_add(const struct ns *ns, const struct route *route, struct error *err)
{
	struct error refused = {0};
	bool ours;

	if (talk(ns, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route, &refused))
		return true;
	if (refused.code == EEXIST) {
		if (!is_ours(&ours, ns, route, err))
			return false;
		if (ours && talk(ns, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, err))
			return true;
	}
	if (!err->text[0])
		*err = refused;
	return error_wrap(err, "add route %s via %s", prefix_format(route->dst).s,
			  ip_format(route->via).s);
}

bool route_remove(const struct ns *ns, const struct route *route, struct error *err)
{
	struct error trouble = {0};

	/* gone with its interface or its network: as wanted */
	if (talk(ns, RTM_DELROUTE, 0, route, &trouble) || trouble.code == ESRCH)
		return true;
	*err = trouble;
	return error_wrap(err, "remove route %s via %s", prefix_format(route->dst).s,
			  ip_format(route->via).s);
}
