/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/conntrack.h"

#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* So many are remembered and ended at a time; more rounds than this are owed. */
enum { ROUND = 1 << 15, MOST_ROUNDS = 64, MOST_IN_CONTAINER = 4 };

struct ending {
	enum fate fate;
	struct nf_conntrack *tuple; /* what finds the entry again */
};

struct search {
	const struct revocation *revocation;
	struct ending *found; /* of this round */
	uint32_t n;
	bool more; /* than a round takes */
};

/* v4 and v6: the attribute in each family. */
static struct ip ip_of(const struct nf_conntrack *ct, enum nf_conntrack_attr v4,
		       enum nf_conntrack_attr v6)
{
	bool is_v6 = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET6;
	struct ip ip = {.family = is_v6 ? 6 : 4};
	const void *bytes = nfct_get_attr(ct, is_v6 ? v6 : v4);

	if (bytes)
		memcpy(ip.bytes, bytes, is_v6 ? 16 : 4);
	return ip;
}

static uint16_t port_of(const struct nf_conntrack *ct, enum nf_conntrack_attr attr)
{
	return nfct_attr_is_set(ct, attr) ? be16toh(nfct_get_attr_u16(ct, attr)) : 0;
}

static struct connection connection_of(const struct nf_conntrack *ct)
{
	return (struct connection){.src = ip_of(ct, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC),
				   .dst = ip_of(ct, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST),
				   .proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO),
				   .dport = port_of(ct, ATTR_ORIG_PORT_DST),
				   .icmp_type = nfct_attr_is_set(ct, ATTR_ICMP_TYPE)
							? nfct_get_attr_u8(ct, ATTR_ICMP_TYPE)
							: 0,
				   .answers = ip_of(ct, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC),
				   .answers_port = port_of(ct, ATTR_REPL_PORT_SRC),
				   .mark = nfct_get_attr_u32(ct, ATTR_MARK)};
}

static struct nf_conntrack *tuple_of(const struct nf_conntrack *ct)
{
	struct nf_conntrack *tuple = nfct_new();

	if (!tuple)
		out_of_memory();
	nfct_copy(tuple, ct, NFCT_CP_ORIG);
	if (nfct_attr_is_set(ct, ATTR_ZONE))
		nfct_set_attr_u16(tuple, ATTR_ZONE, nfct_get_attr_u16(ct, ATTR_ZONE));
	return tuple;
}

static int look_at(enum nf_conntrack_msg_type type UNUSED, struct nf_conntrack *ct, void *data)
{
	struct connection c = connection_of(ct);
	struct search *s = data;
	enum fate fate;

	if (s->more || !revocation_concerns(s->revocation, &c))
		return NFCT_CB_CONTINUE;
	fate = revocation_fate(s->revocation, &c);
	if (fate == FATE_LIVES)
		return NFCT_CB_CONTINUE;
	s->more = s->n == ROUND;
	if (s->more)
		return NFCT_CB_CONTINUE;
	s->found[s->n++] = (struct ending){fate, tuple_of(ct)};
	return NFCT_CB_CONTINUE;
}

typedef int looker(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data);

/* Those whose mark has the bit; 0: all. */
static bool dump(struct nfct_handle *h, uint32_t bit, looker *look, void *data, struct error *err)
{
	struct nfct_filter_dump *filter = nfct_filter_dump_create();
	struct nfct_filter_dump_mark mark = {.val = bit, .mask = bit};
	int result;

	if (!filter)
		return error_set(err, errno, "filter connections");
	if (bit)
		nfct_filter_dump_set_attr(filter, NFCT_FILTER_DUMP_MARK, &mark);
	nfct_callback_register(h, NFCT_T_ALL, look, data);
	result = nfct_query(h, NFCT_Q_DUMP_FILTER, filter);
	nfct_callback_unregister(h);
	nfct_filter_dump_destroy(filter);
	return result == 0 || error_set(err, errno, "list connections");
}

/* One that ended by itself meanwhile is as good as ended by us. */
static bool end(struct nfct_handle *h, struct nf_conntrack *tuple, const uint32_t *mark,
		struct error *err)
{
	if (mark)
		nfct_set_attr_u32(tuple, ATTR_MARK, *mark);
	return nfct_query(h, mark ? NFCT_Q_UPDATE : NFCT_Q_DESTROY, tuple) == 0 ||
	       errno == ENOENT || error_set(err, errno, "end a revoked connection");
}

static bool end_all(uint32_t *n, struct nfct_handle *h, const struct search *s, struct error *err)
{
	bool ok = true;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct ending *f = &s->found[i];

		if (ok) {
			ok = end(h, f->tuple, f->fate == FATE_MUTED ? &s->revocation->muted : NULL,
				 err);
			*n += ok;
		}
		nfct_destroy(f->tuple);
	}
	return ok;
}

static bool end_round(uint32_t *n, struct nfct_handle *h, struct search *s, struct error *err)
{
	const struct revocation *r = s->revocation;
	uint32_t bit = r->blind && !r->translates && !r->lifted ? r->admitted : 0;
	bool read;

	s->n = 0;
	s->more = false;
	read = dump(h, bit, look_at, s, err);
	return end_all(n, h, s, err) && read;
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

bool conntrack_revoke(uint32_t *n, const struct ns *ns, const struct revocation *r,
		      struct error *err)
{
	struct search s = {.revocation = r};
	struct nfct_handle *h;
	int round = 0, most = ns->pidfd < 0 ? MOST_ROUNDS : MOST_IN_CONTAINER;
	bool ok;

	*n = 0;
	if (!open_in(&h, ns, err))
		return false;
	s.found = xmalloc(ROUND * sizeof(*s.found));
	do
		ok = end_round(n, h, &s, err);
	while (ok && s.more && ++round < most);
	free(s.found);
	if (ok && s.more)
		ok = error_set(err, -1,
			       "there are more revoked connections than %u; the rest ends in the "
			       "next pass",
			       *n);
	nfct_close(h);
	return ok;
}

struct listing {
	live_list *list;
	struct arena *a;
	uint32_t bit;
};

static uint64_t sum(const struct nf_conntrack *ct, enum nf_conntrack_attr there,
		    enum nf_conntrack_attr back)
{
	return nfct_get_attr_u64(ct, there) + nfct_get_attr_u64(ct, back);
}

static int note(enum nf_conntrack_msg_type type UNUSED, struct nf_conntrack *ct, void *data)
{
	struct connection tuple = connection_of(ct);
	struct listing *l = data;
	struct live *live;

	if (l->bit && !(tuple.mark & l->bit)) /* kernels before 5.8 do not filter by mark */
		return NFCT_CB_CONTINUE;
	live = list_add(l->a, l->list);
	*live = (struct live){.tuple = tuple,
			      .sport = port_of(ct, ATTR_ORIG_PORT_SRC),
			      .counted = nfct_attr_is_set(ct, ATTR_ORIG_COUNTER_BYTES),
			      .age_s = -1,
			      .policy = NONE};
	if (live->counted) {
		live->packets = sum(ct, ATTR_ORIG_COUNTER_PACKETS, ATTR_REPL_COUNTER_PACKETS);
		live->bytes = sum(ct, ATTR_ORIG_COUNTER_BYTES, ATTR_REPL_COUNTER_BYTES);
	}
	if (nfct_attr_is_set(ct, ATTR_TIMESTAMP_START)) {
		uint64_t began = nfct_get_attr_u64(ct, ATTR_TIMESTAMP_START) / 1000000000;

		live->age_s = (int64_t)time(NULL) - (int64_t)began;
	}
	return NFCT_CB_CONTINUE;
}

bool conntrack_list(live_list *list, struct arena *a, const struct ns *ns, uint32_t bit,
		    struct error *err)
{
	struct listing l = {list, a, bit};
	struct nfct_handle *h;
	bool ok;

	if (!open_in(&h, ns, err))
		return false;
	ok = dump(h, bit, note, &l, err);
	nfct_close(h);
	return ok;
}

static void describe(struct nf_conntrack *ct, uint8_t proto, const struct probe_flow *flow)
{
	bool is_v6 = flow->src.family == 6;

	nfct_set_attr_u8(ct, ATTR_L3PROTO, is_v6 ? AF_INET6 : AF_INET);
	nfct_set_attr(ct, is_v6 ? ATTR_IPV6_SRC : ATTR_IPV4_SRC, flow->src.bytes);
	nfct_set_attr(ct, is_v6 ? ATTR_IPV6_DST : ATTR_IPV4_DST, flow->dst.bytes);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, proto);
	if (!protocol_has_ports(proto)) {
		nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, is_v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO);
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
