/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/routing.h"

#include "core/nft/nlattr.h"
#include "edge/netlink/netlink.h"
#include "edge/netlink/rtattr.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

struct reading {
	struct routing *routing;
	struct arena *a;
	bool too_many;
};

static struct prefix take_prefix(struct attrs attrs, uint16_t type, uint8_t len)
{
	struct attrs value = attr_find(attrs, type);
	struct prefix p = {0};

	if (value.len != 4 && value.len != 16)
		return p;
	p.ip.family = value.len == 4 ? 4 : 6;
	p.len = len > ip_bits(p.ip) ? ip_bits(p.ip) : len;
	memcpy(p.ip.bytes, value.bytes, value.len);
	return p;
}

/* What every interface has for itself leads no packet of ours anywhere: fe80::/10, ff00::/8, ::1.
 */
static bool is_of_the_link(struct prefix p)
{
	const uint8_t *b = p.ip.bytes;

	if (p.ip.family != 6 || !p.len)
		return false;
	return b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) ||
	       (p.len == 128 && !ip_half(&p.ip, 0) && ip_half(&p.ip, 1) == 1);
}

/* --- routes --- */

static enum path_type type_of(const struct rtmsg *body)
{
	switch (body->rtm_type) {
	case RTN_UNICAST:
		return PATH_LEAVES;
	case RTN_LOCAL:
	case RTN_BROADCAST:
	case RTN_ANYCAST:
	case RTN_MULTICAST:
		return PATH_LOCAL;
	case RTN_THROW:
		return PATH_THROWS;
	default:
		return PATH_REFUSES;
	}
}

/* Of several next hops the first one's. */
static uint32_t device_of(struct attrs attrs)
{
	struct attrs hops = attr_find(attrs, RTA_MULTIPATH);
	struct rtnexthop hop;

	if (hops.len < sizeof(hop))
		return take_u32(attr_find(attrs, RTA_OIF), 0);
	memcpy(&hop, hops.bytes, sizeof(hop));
	return (uint32_t)hop.rtnh_ifindex;
}

/* Who owns a namespace may fill it: it is not looked at any more then. */
static bool too_many(struct reading *r, struct error *err)
{
	r->too_many = true;
	return error_set(err, -1, "too many routes or rules");
}

static bool take_path(void *context, const struct nlmsghdr *message, struct error *err)
{
	const struct rtmsg *body = NLMSG_DATA(message);
	struct reading *r = context;
	struct attrs attrs;
	struct ip_route path;

	if (!is_a(message, RTM_NEWROUTE, sizeof(*body)) ||
	    body->rtm_family != af(r->routing->family) ||
	    body->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD) || body->rtm_tos)
		return true;
	if (r->routing->paths.n == MOST_PATHS)
		return too_many(r, err);
	attrs = attrs_behind(message, sizeof(*body));
	path = (struct ip_route){.dst = take_prefix(attrs, RTA_DST, body->rtm_dst_len),
				 .src = take_prefix(attrs, RTA_SRC, body->rtm_src_len),
				 .table = take_u32(attr_find(attrs, RTA_TABLE), body->rtm_table),
				 .metric = take_u32(attr_find(attrs, RTA_PRIORITY), 0),
				 .device = device_of(attrs),
				 .type = type_of(body),
				 .ours = body->rtm_protocol == ROUTE_PROTOCOL};
	path.dst.ip.family = r->routing->family;
	if (is_of_the_link(path.dst))
		return true;
	*list_add(r->a, &r->routing->paths) = path;
	return true;
}

/* --- rules --- */

static bool has(struct attrs attrs, uint16_t type)
{
	return attr_find(attrs, type).len != 0;
}

/* Since Linux 6.15 a port comes with a mask (FRA_SPORT_MASK, FRA_DPORT_MASK; not in older headers).
 */
static bool is_whole_port(uint16_t type, struct attrs value)
{
	return (type == FRA_DPORT_RANGE + 4 || type == FRA_DPORT_RANGE + 5) && value.len == 2 &&
	       (value.bytes[0] & value.bytes[1]) == 0xff;
}

/* It asks for what an answer without a mark never is, or for what we can't tell. */
static bool asks_for_others(const struct fib_rule_hdr *body, struct attrs attrs)
{
	const char *iif = attr_text(attr_find(attrs, FRA_IIFNAME));
	struct attrs value;
	uint16_t type;

	if (body->tos || body->flags & FIB_RULE_FIND_SADDR || (*iif && strcmp(iif, "lo") != 0) ||
	    has(attrs, FRA_OIFNAME) || has(attrs, FRA_UID_RANGE) || has(attrs, FRA_TUN_ID))
		return true;
	value = attr_find(attrs, FRA_L3MDEV);
	if (value.len && value.bytes[0])
		return true;
	while (attr_next(&attrs, &type, &value))
		if (type > FRA_DPORT_RANGE && !is_whole_port(type, value))
			return true;
	return false;
}

static void take_ports(uint16_t *low, uint16_t *high, struct attrs value)
{
	struct fib_rule_port_range range;

	if (value.len != sizeof(range))
		return;
	memcpy(&range, value.bytes, sizeof(range));
	*low = range.start;
	*high = range.end;
}

static enum ip_rule_action action_of(const struct fib_rule_hdr *body)
{
	switch (body->action) {
	case FR_ACT_TO_TBL:
		return RULE_TABLE;
	case FR_ACT_GOTO:
		return body->flags & FIB_RULE_UNRESOLVED ? RULE_NOTHING : RULE_GOTO;
	case FR_ACT_NOP:
		return RULE_NOTHING;
	default:
		return RULE_REFUSES;
	}
}

static bool take_rule(void *context, const struct nlmsghdr *message, struct error *err)
{
	const struct fib_rule_hdr *body = NLMSG_DATA(message);
	struct reading *r = context;
	struct ip_rule rule = {0};
	struct attrs attrs, proto;
	int32_t suppresses;

	if (!is_a(message, RTM_NEWRULE, sizeof(*body)) || body->family != af(r->routing->family))
		return true;
	if (r->routing->rules.n == MOST_IP_RULES)
		return too_many(r, err);
	attrs = attrs_behind(message, sizeof(*body));
	rule.priority = take_u32(attr_find(attrs, FRA_PRIORITY), 0);
	rule.action = action_of(body);
	rule.table = rule.action == RULE_GOTO ? take_u32(attr_find(attrs, FRA_GOTO), 0)
					      : take_u32(attr_find(attrs, FRA_TABLE), body->table);
	rule.src = take_prefix(attrs, FRA_SRC, body->src_len);
	rule.dst = take_prefix(attrs, FRA_DST, body->dst_len);
	rule.mark = take_u32(attr_find(attrs, FRA_FWMARK), 0);
	rule.mask = take_u32(attr_find(attrs, FRA_FWMASK), 0);
	proto = attr_find(attrs, FRA_IP_PROTO);
	rule.proto = proto.len ? proto.bytes[0] : 0;
	take_ports(&rule.sport_low, &rule.sport_high, attr_find(attrs, FRA_SPORT_RANGE));
	take_ports(&rule.dport_low, &rule.dport_high, attr_find(attrs, FRA_DPORT_RANGE));
	suppresses = (int32_t)take_u32(attr_find(attrs, FRA_SUPPRESS_PREFIXLEN), UINT32_MAX);
	rule.suppresses = (int16_t)(suppresses > 128 ? 128 : suppresses < 0 ? -1 : suppresses);
	rule.inverted = body->flags & FIB_RULE_INVERT;
	rule.elsewhere = asks_for_others(body, attrs);
	*list_add(r->a, &r->routing->rules) = rule;
	return true;
}

/* --- devices --- */

static bool take_link(void *context, const struct nlmsghdr *message, struct error *err UNUSED)
{
	const struct ifinfomsg *body = NLMSG_DATA(message);
	struct reading *r = context;

	if (!is_a(message, RTM_NEWLINK, sizeof(*body)))
		return true;
	if (r->routing->devices.n == MOST_PATHS)
		return too_many(r, err);
	*list_add(r->a, &r->routing->devices) = (struct ip_device){
		(uint32_t)body->ifi_index,
		arena_strdup(r->a, attr_text(attr_find(attrs_behind(message, sizeof(*body)),
						       IFLA_IFNAME)))};
	return true;
}

/* --- the dumps --- */

static bool dump(struct reading *r, const struct ns *ns, uint16_t type, size_t body,
		 netlink_reader reader, struct error *err)
{
	static uint32_t seq;
	struct {
		struct nlmsghdr header;
		union {
			unsigned char family; /* of each of them */
			struct rtmsg route;
			struct fib_rule_hdr rule;
			struct ifinfomsg link;
		} body;
	} request = {.header = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
				.nlmsg_type = type,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				.nlmsg_seq = ++seq}};

	request.body.family = type == RTM_GETLINK ? AF_UNSPEC : af(r->routing->family);
	return netlink_dump(ns->route_fd, &request, request.header.nlmsg_len, seq, reader, r, err);
}

static bool read_all(struct reading *r, const struct ns *ns, struct error *err)
{
	if (!dump(r, ns, RTM_GETROUTE, sizeof(struct rtmsg), take_path, err) ||
	    !dump(r, ns, RTM_GETRULE, sizeof(struct fib_rule_hdr), take_rule, err))
		return false;
	routing_finish(r->routing);
	return r->routing->only_device ||
	       dump(r, ns, RTM_GETLINK, sizeof(struct ifinfomsg), take_link, err);
}

bool routing_read(struct routing *routing, struct arena *a, const struct ns *ns, uint8_t family,
		  struct error *err)
{
	struct reading r = {.routing = routing, .a = a};

	*routing = (struct routing){.family = family};
	if (read_all(&r, ns, err))
		return true;
	if (!r.too_many)
		return error_wrap(err, "read routes and rules");
	*err = (struct error){0};
	*routing = (struct routing){.family = family, .only_device = UINT32_MAX};
	return true;
}
