/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/conntrack.h"

#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <stdlib.h>
#include <string.h>

/* A large table is read more than once: so many entries at a time, at most so often. */
enum { AT_ONCE = 1 << 16, MOST_TIMES = 64 };

struct concerned {
	struct connection connection;
	struct nf_conntrack *tuple; /* what finds the entry again */
};

struct search {
	const struct revocation *revocation;
	struct concerned *found;
	uint32_t n;
	bool more;
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

static struct connection connection_of(const struct nf_conntrack *ct)
{
	return (struct connection){.src = ip_of(ct, ATTR_ORIG_IPV4_SRC),
				   .dst = ip_of(ct, ATTR_ORIG_IPV4_DST),
				   .proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO),
				   .dport = port_of(ct, ATTR_ORIG_PORT_DST),
				   .answers = ip_of(ct, ATTR_REPL_IPV4_SRC),
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

	if (s->more || !revocation_concerns(s->revocation, &c))
		return NFCT_CB_CONTINUE;
	s->found[s->n++] = (struct concerned){c, tuple_of(ct)};
	s->more = s->n == AT_ONCE;
	return NFCT_CB_CONTINUE;
}

static bool dump(struct nfct_handle *h, struct search *s, struct error *err)
{
	struct nfct_filter_dump *filter = nfct_filter_dump_create();
	const struct revocation *r = s->revocation;
	struct nfct_filter_dump_mark mark = {.val = r->admitted, .mask = r->admitted};
	int result;

	if (!filter)
		return error_set(err, errno, "filter connections");
	if (r->blind)
		nfct_filter_dump_set_attr(filter, NFCT_FILTER_DUMP_MARK, &mark);
	nfct_filter_dump_set_attr_u8(filter, NFCT_FILTER_DUMP_L3NUM, AF_INET);
	nfct_callback_register(h, NFCT_T_ALL, look_at, s);
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

static bool settle(uint32_t *n, struct nfct_handle *h, const struct search *s, struct error *err)
{
	bool ok = true;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct concerned *f = &s->found[i];
		enum fate fate = revocation_fate(s->revocation, &f->connection);

		if (ok && fate != FATE_LIVES) {
			ok = end(h, f->tuple, fate == FATE_MUTED ? &s->revocation->muted : NULL,
				 err);
			*n += ok;
		}
		nfct_destroy(f->tuple);
	}
	return ok;
}

/* Reads the table until all of it was seen: what lives on stands in the way of the rest. */
static bool run(uint32_t *n, struct nfct_handle *h, struct search *s, struct error *err)
{
	bool read;

	for (int i = 0; i < MOST_TIMES; i++) {
		uint32_t before = *n;

		s->n = 0;
		s->more = false;
		read = dump(h, s, err);
		if (!settle(n, h, s, err) || !read)
			return false;
		if (!s->more)
			return true;
		if (*n == before)
			break;
	}
	return error_set(err, EAGAIN, "end revoked connections: there are too many");
}

bool conntrack_revoke(uint32_t *n, const struct ns *ns, const struct revocation *r,
		      struct error *err)
{
	struct search s = {.revocation = r};
	struct nfct_handle *h;
	bool ok;
	int home;

	*n = 0;
	if (!ns_enter(&home, ns, err))
		return false;
	h = nfct_open(CONNTRACK, 0);
	ns_leave(home);
	if (!h)
		return error_set(err, errno, "open conntrack");
	s.found = xmalloc(AT_ONCE * sizeof(*s.found));
	ok = run(n, h, &s, err);
	free(s.found);
	nfct_close(h);
	return ok;
}
