/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/logged/logged.h"

#include "core/nft/nlattr.h"
#include "core/ruleset/ruleset.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netinet/in.h>
#include <string.h>

/* --- the packet --- */

/* What is left of it, from some header on. */
struct rest {
	const uint8_t *bytes;
	size_t len;
};

static bool skip(struct rest *rest, size_t len)
{
	if (len > rest->len)
		return false;
	rest->bytes += len;
	rest->len -= len;
	return true;
}

static struct ip ip_at(uint8_t family, const uint8_t *bytes)
{
	struct ip ip = {.family = family};

	memcpy(ip.bytes, bytes, family == 6 ? 16 : 4);
	return ip;
}

static bool read_ip4(struct logged *l, struct rest *rest)
{
	const uint8_t *ip = rest->bytes;
	size_t header;

	if (rest->len < 20)
		return false;
	header = (ip[0] & 0xfu) * 4;
	l->src = ip_at(4, ip + 12);
	l->dst = ip_at(4, ip + 16);
	l->proto = ip[9];
	if (header < 20 || !skip(rest, header))
		return false;
	if ((ip[6] & 0x1f) || ip[7]) /* a later fragment */
		rest->len = 0;
	return true;
}

enum { MOST_HEADERS = 8 };

/* RFC 8200: extension headers stand before the protocol. Of one that is cut off no more is known.
 */
static bool read_ip6(struct logged *l, struct rest *rest)
{
	const uint8_t *ip = rest->bytes;

	if (rest->len < 40)
		return false;
	l->src = ip_at(6, ip + 8);
	l->dst = ip_at(6, ip + 24);
	l->proto = ip[6];
	skip(rest, 40);
	for (int i = 0; i < MOST_HEADERS && rest->len >= 8; i++) {
		const uint8_t *header = rest->bytes;
		size_t len = header[1] * 8u + 8;

		if (l->proto == IPPROTO_FRAGMENT) {
			len = 8;
			if (header[2] || header[3] & 0xf8) { /* a later fragment */
				l->proto = header[0];
				rest->len = 0;
				return true;
			}
		} else if (l->proto == IPPROTO_AH) {
			len = header[1] * 4u + 8;
		} else if (l->proto != IPPROTO_HOPOPTS && l->proto != IPPROTO_ROUTING &&
			   l->proto != IPPROTO_DSTOPTS) {
			return true;
		}
		l->proto = header[0];
		if (!skip(rest, len))
			rest->len = 0;
	}
	return true;
}

static bool read_packet(struct logged *l, struct attrs payload)
{
	struct rest rest = {payload.bytes, payload.len};
	uint8_t version = rest.len ? rest.bytes[0] >> 4 : 0;

	if (version == 4 ? !read_ip4(l, &rest) : version != 6 || !read_ip6(l, &rest))
		return false;
	if (version == 6 && l->proto == IPPROTO_ICMPV6) /* "icmp" is each family's own */
		l->proto = IPPROTO_ICMP;
	if (protocol_has_ports(l->proto) && rest.len >= 4) {
		l->sport = (uint16_t)(rest.bytes[0] << 8 | rest.bytes[1]);
		l->port = (uint16_t)(rest.bytes[2] << 8 | rest.bytes[3]);
	}
	return true;
}

static const char *const prefixes[] = {[LOGGED_ALLOWED] = LOG_ALLOWED,
				       [LOGGED_TRANSLATED] = LOG_TRANSLATED,
				       [LOGGED_DROPPED] = LOG_DROPPED,
				       [LOGGED_AUDIT_ASKED] = LOG_AUDIT_ASKED,
				       [LOGGED_AUDIT] = LOG_AUDIT,
				       [LOGGED_AUDIT_DNAT] = LOG_AUDIT_DNAT,
				       [LOGGED_AUDIT_HOST] = LOG_AUDIT_HOST,
				       [LOGGED_AUDIT_BORROWED] = LOG_AUDIT_BORROWED,
				       [LOGGED_AUDIT_INTO] = LOG_AUDIT_INTO,
				       [LOGGED_AUDIT_BY_HOST] = LOG_AUDIT_BY_HOST,
				       [LOGGED_AUDIT_SERVED] = LOG_AUDIT_SERVED,
				       [LOGGED_AUDIT_FRAME] = LOG_AUDIT_FRAME,
				       [LOGGED_AUDIT_SAMPLE] = LOG_AUDIT_SAMPLE};

bool logged_decode(struct logged *l, const struct nlmsghdr *message)
{
	struct attrs attrs = nlmsg_attrs(message);
	const char *prefix = attr_text(attr_find(attrs, NFULA_PREFIX));
	size_t why = 0;

	*l = (struct logged){0};
	if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
		return false;
	while (why < COUNT_OF(prefixes) && strcmp(prefix, prefixes[why]) != 0)
		why++;
	if (why == COUNT_OF(prefixes))
		return false;
	l->why = (enum logged_why)why;
	l->in = attr_be32(attr_find(attrs, NFULA_IFINDEX_INDEV));
	return read_packet(l, attr_find(attrs, NFULA_PAYLOAD));
}

/* --- its policy --- */

bool policy_has_proto(const struct policy *p, uint8_t proto)
{
	for (uint32_t set = p->protos; set; set &= set - 1) {
		enum proto one = (enum proto)(set & -set);

		if (one == PROTO_ANY || proto_number(one) == proto)
			return true;
	}
	return false;
}

bool policy_has_port(const struct config *config, const struct policy *p, uint8_t proto,
		     uint16_t port)
{
	const struct port_range *ports = policy_ports(config, p);

	if (!p->n_ports || !protocol_has_ports(proto))
		return true;
	for (uint32_t i = 0; i < p->n_ports; i++)
		if (policy_target_port(config, p, i, ports[i].low) <= port &&
		    port <= policy_target_port(config, p, i, ports[i].high))
			return true;
	return false;
}

static bool is_on(const struct config *config, const struct policy *p, const char *iface)
{
	const char *wanted = config_name(config, p->iface);

	return !wanted || (iface && !strcmp(wanted, iface));
}

/* What a container translates comes to the host as its own traffic, and from no interface of its.
 */
static bool lets_through(const struct config *config, const struct resolution *resolution,
			 const struct policy *p, const struct logged *l, const char *iface)
{
	struct resolved r = resolved_policy(resolution, config, p);
	bool translates = p->nat == NAT_DNAT;

	if (!policy_has_proto(p, l->proto) || !policy_has_port(config, p, l->proto, l->port))
		return false;
	if (!translates)
		return l->why == LOGGED_ALLOWED && is_on(config, p, iface) &&
		       peers_hold(r.source, l->src) &&
		       (peers_hold(r.target, l->dst) || r.target->has_host);
	if (!peers_hold(r.to, l->dst))
		return false;
	return l->why == LOGGED_ALLOWED ||
	       (is_on(config, p, iface) && (!p->from || peers_hold(r.from, l->src)));
}

/* Policies that admit come first: those that translate in a container are known by less. */
uint32_t logged_policy(const struct config *config, const struct resolution *resolution,
		       const struct logged *l, const char *iface)
{
	const enum nat kinds[] = {NAT_NO, NAT_DNAT};

	for (size_t k = 0; k < COUNT_OF(kinds); k++)
		for (uint32_t i = 0; i < config->policies.n; i++) {
			const struct policy *p = &config->policies.items[i];

			if (p->log && p->nat == kinds[k] &&
			    lets_through(config, resolution, p, l, iface))
				return i;
		}
	return NONE;
}

const char *logged_name(struct arena *a, const struct config *config, struct ip ip)
{
	const char *container = config_container_at(config, ip);

	return container ? container : arena_strdup(a, ip_format(ip).s);
}

const char *logged_protocol(struct arena *a, const struct logged *l)
{
	return protocol_has_name(l->proto) ? protocol_name(l->proto)
					   : arena_printf(a, "%u", l->proto);
}
