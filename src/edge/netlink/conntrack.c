/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/conntrack.h"

#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/icmp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* So many are remembered and deleted at a time; more rounds than this are owed. */
enum { ROUND = 1 << 15, MOST_ROUNDS = 64, MOST_IN_CONTAINER = 4 };

struct revoked {
	struct nf_conntrack **items; /* of this round */
	uint32_t n, cap;
	bool more; /* than a round takes */
	const struct flows *flows;
};

static struct ip ip_of(const struct nf_conntrack *ct, enum nf_conntrack_attr attr)
{
	struct ip ip = {.family = 4};
	uint32_t net = nfct_get_attr_u32(ct, attr);

	memcpy(ip.bytes, &net, sizeof(net));
	return ip;
}

static uint16_t port_of(const struct nf_conntrack *ct, enum nf_conntrack_attr attr)
{
	return nfct_attr_is_set(ct, attr) ? be16toh(nfct_get_attr_u16(ct, attr)) : 0;
}

static int look_at(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data)
{
	struct revoked *r = data;
	struct connection c = {.src = ip_of(ct, ATTR_ORIG_IPV4_SRC),
			       .dst = ip_of(ct, ATTR_ORIG_IPV4_DST),
			       .proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO),
			       .dport = port_of(ct, ATTR_ORIG_PORT_DST),
			       .answers = ip_of(ct, ATTR_REPL_IPV4_SRC),
			       .answers_port = port_of(ct, ATTR_REPL_PORT_SRC)};

	(void)type;
	if (flows_admit(r->flows, &c))
		return NFCT_CB_CONTINUE;
	r->more |= r->n == ROUND;
	if (r->more)
		return NFCT_CB_CONTINUE;
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->items = xrealloc(r->items, r->cap * sizeof(struct nf_conntrack *));
	}
	r->items[r->n++] = ct;
	return NFCT_CB_STOLEN;
}

static bool dump(struct nfct_handle *h, uint32_t bit, struct error *err)
{
	struct nfct_filter_dump *filter = nfct_filter_dump_create();
	struct nfct_filter_dump_mark mark = {.val = bit, .mask = bit};
	int result;

	if (!filter)
		return error_set(err, errno, "filter connections");
	nfct_filter_dump_set_attr(filter, NFCT_FILTER_DUMP_MARK, &mark);
	nfct_filter_dump_set_attr_u8(filter, NFCT_FILTER_DUMP_L3NUM, AF_INET);
	result = nfct_query(h, NFCT_Q_DUMP_FILTER, filter);
	nfct_filter_dump_destroy(filter);
	return result == 0 || error_set(err, errno, "list connections");
}

/* One that ended by itself meanwhile is as good as deleted. */
static bool delete_all(struct nfct_handle *h, struct revoked *r, struct error *err)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (nfct_query(h, NFCT_Q_DESTROY, r->items[i]) < 0 && errno != ENOENT)
			return error_set(err, errno, "delete a revoked connection");
	return true;
}

static bool open_in(struct nfct_handle **h, const struct ns *ns, struct error *err)
{
	int home;

	if (!ns_enter(&home, ns, err))
		return false;
	*h = nfct_open(CONNTRACK, 0);
	ns_leave(home);
	return *h || error_set(err, errno, "open conntrack");
}

static bool revoke_round(struct nfct_handle *h, struct revoked *r, uint32_t bit, struct error *err)
{
	bool ok;

	r->n = 0;
	r->more = false;
	nfct_callback_register(h, NFCT_T_ALL, look_at, r);
	ok = dump(h, bit, err);
	nfct_callback_unregister(h);
	ok = ok && delete_all(h, r, err);
	for (uint32_t i = 0; i < r->n; i++)
		nfct_destroy(r->items[i]);
	return ok;
}

bool conntrack_revoke(uint32_t *n, const struct ns *ns, uint32_t bit, const struct flows *flows,
		      struct error *err)
{
	struct revoked r = {.flows = flows};
	struct nfct_handle *h;
	int round = 0, most = ns->pidfd < 0 ? MOST_ROUNDS : MOST_IN_CONTAINER;
	bool ok;

	*n = 0;
	if (!open_in(&h, ns, err))
		return false;
	do {
		ok = revoke_round(h, &r, bit, err);
		*n += r.n;
	} while (ok && r.more && ++round < most);
	if (ok && r.more)
		ok = error_set(err, -1,
			       "there are more revoked connections than %u; the rest ends in the "
			       "next pass",
			       *n);
	free(r.items);
	nfct_close(h);
	return ok;
}

static void describe(struct nf_conntrack *ct, uint8_t proto, const struct probe_flow *flow)
{
	uint32_t src, dst;

	memcpy(&src, flow->src.bytes, sizeof(src));
	memcpy(&dst, flow->dst.bytes, sizeof(dst));
	nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
	nfct_set_attr_u32(ct, ATTR_IPV4_SRC, src);
	nfct_set_attr_u32(ct, ATTR_IPV4_DST, dst);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, proto);
	if (proto == IPPROTO_ICMP) {
		nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, ICMP_ECHO);
		nfct_set_attr_u8(ct, ATTR_ICMP_CODE, 0);
		nfct_set_attr_u16(ct, ATTR_ICMP_ID, htobe16(flow->sport));
	} else {
		nfct_set_attr_u16(ct, ATTR_PORT_SRC, htobe16(flow->sport));
		nfct_set_attr_u16(ct, ATTR_PORT_DST, htobe16(flow->dport));
	}
}

void conntrack_forget(const struct ns *ns, uint8_t proto, const struct probe_flow *flow)
{
	struct error none = {0};
	struct nfct_handle *h;
	struct nf_conntrack *ct;

	if (!open_in(&h, ns, &none))
		return;
	ct = nfct_new();
	if (ct) {
		describe(ct, proto, flow);
		nfct_query(h, NFCT_Q_DESTROY, ct); /* mostly nothing there keeps connections */
		nfct_destroy(ct);
	}
	nfct_close(h);
}
