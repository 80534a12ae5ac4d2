/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Matches of x_tables, which iptables-nft writes where nf_tables has no expression for something.
 */
#include "core/foreign/plain_nft.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <string.h>

bool plain_add_span(struct plain *p, uint16_t low, uint16_t high)
{
	if (p->n_dports == MAX_SPANS)
		return false;
	p->dports[p->n_dports++] = (struct span){low, high};
	return true;
}

/* The name of a match, its data, copied to where it is aligned; false: too short. */
#define AS(type, info, into)                                                                       \
	((info).len >= sizeof(type) && memcpy(&(into), (info).bytes, sizeof(type)))

static bool match_conntrack(struct plain *p, struct attrs info)
{
	struct xt_conntrack_mtinfo3 m;

	if (!AS(struct xt_conntrack_mtinfo3, info, m) || m.match_flags != XT_CONNTRACK_STATE ||
	    m.invert_flags)
		return false;
	p->states = m.state_mask;
	return p->states;
}

static bool match_multiport(struct plain *p, struct attrs info)
{
	struct xt_multiport_v1 m;

	if (!AS(struct xt_multiport_v1, info, m) || m.flags != XT_MULTIPORT_DESTINATION ||
	    m.count > XT_MULTI_PORTS || p->n_dports)
		return false;
	for (uint8_t i = 0; i < m.count; i++) {
		bool range = m.pflags[i] && i + 1 < m.count;

		if (!plain_add_span(p, m.ports[i], m.ports[i + range]))
			return false;
		i = (uint8_t)(i + range);
	}
	p->nots |= m.invert ? NOT_DPORT : 0;
	return true;
}

static bool match_ports(struct plain *p, const uint16_t source[2], const uint16_t destination[2])
{
	if (source[0] || source[1] != UINT16_MAX || p->n_dports)
		return false;
	return (!destination[0] && destination[1] == UINT16_MAX) ||
	       plain_add_span(p, destination[0], destination[1]);
}

static bool match_tcp(struct plain *p, struct attrs info)
{
	struct xt_tcp m;

	return AS(struct xt_tcp, info, m) && !m.flg_mask && !m.option && !m.invflags &&
	       match_ports(p, m.spts, m.dpts);
}

static bool match_udp(struct plain *p, struct attrs info)
{
	struct xt_udp m;

	return AS(struct xt_udp, info, m) && !m.invflags && match_ports(p, m.spts, m.dpts);
}

static bool match_mark(struct plain *p, struct attrs info)
{
	struct xt_mark_mtinfo1 m;

	if (!AS(struct xt_mark_mtinfo1, info, m) || m.invert)
		return false;
	p->mark = m.mark;
	p->mark_mask = m.mask;
	return true;
}

static bool match_connmark(struct plain *p, struct attrs info)
{
	struct xt_connmark_mtinfo1 m;

	if (!AS(struct xt_connmark_mtinfo1, info, m) || m.invert)
		return false;
	p->ct_mark = m.mark;
	p->ct_mark_mask = m.mask;
	return true;
}

static bool match_comment(struct plain *p, struct attrs info)
{
	p->commented = info.len;
	return true;
}

bool plain_take_match(struct plain *p, struct attrs data)
{
	static const struct {
		const char *name;
		bool (*take)(struct plain *p, struct attrs info);
	} known[] = {
		{"conntrack", match_conntrack},
		{"state", match_conntrack},
		{"multiport", match_multiport},
		{"tcp", match_tcp},
		{"udp", match_udp},
		{"mark", match_mark},
		{"connmark", match_connmark},
		{"comment", match_comment},
	};
	const char *name = attr_text(attr_find(data, NFTA_MATCH_NAME));

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].take(p, attr_find(data, NFTA_MATCH_INFO));
	return false;
}
