/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/probe.h"

#include "edge/netlink/conntrack.h"
#include "edge/netlink/netlink.h"
#include "edge/netlink/rtattr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * It waits for an answer to three ARP requests, or in the queue of a program. Else silence means
 * that it is gone.
 */
enum { WAITING_MS = 3500, SILENCE_MS = 200, PORT_LOW = 32768, N_PORTS = 28000 };

/* In the namespace it is sent from: raw sends, held keeps the port from everybody else. */
struct sockets {
	int raw, held;
};

/* As the kernel takes it. */
struct socket_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

static struct socket_address address_of(struct ip ip, uint16_t port)
{
	struct socket_address v4 = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)},
				    .len = sizeof(v4.v4)},
			      v6 = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)},
				    .len = sizeof(v6.v6)};

	memcpy(&v4.v4.sin_addr, ip.bytes, sizeof(v4.v4.sin_addr));
	memcpy(&v6.v6.sin6_addr, ip.bytes, sizeof(v6.v6.sin6_addr));
	return ip.family == 6 ? v6 : v4;
}

/* Family 0: it is of no family of ours. */
static struct ip ip_of(const struct sockaddr *any)
{
	struct ip ip = {.family = any->sa_family == AF_INET6  ? 6
				  : any->sa_family == AF_INET ? 4
							      : 0};

	if (ip.family == 6)
		memcpy(ip.bytes, &((const struct sockaddr_in6 *)(const void *)any)->sin6_addr, 16);
	if (ip.family == 4)
		memcpy(ip.bytes, &((const struct sockaddr_in *)(const void *)any)->sin_addr, 4);
	return ip;
}

/* In IPv6 also where it has no address to send from. */
static bool has_no_route(int code)
{
	return code == ENETUNREACH || code == EHOSTUNREACH || code == EADDRNOTAVAIL;
}

/* True: that it is not sent is an answer. */
PRINTF_LIKE(2, 3)
static bool refuse(struct probing *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->refused, sizeof(p->refused), format, args);
	va_end(args);
	return true;
}

/* The address that the namespace uses towards there: connecting a datagram socket sends nothing. */
static bool find_source(struct probing *p, struct ip *src, struct error *err)
{
	AUTO_CLOSE int fd = socket(af(p->flow.dst.family), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct socket_address to = address_of(p->flow.dst, 1), own = to;

	if (fd < 0)
		return error_set(err, errno, "open a socket");
	if (connect(fd, &to.any, to.len) < 0 && has_no_route(errno))
		return refuse(p, "its own namespace has no route there");
	if (getsockname(fd, &own.any, &own.len) < 0)
		return error_set(err, errno, "find the way to %s", ip_format(p->flow.dst).s);
	*src = ip_of(&own.any);
	return true;
}

/* The interface that has the source address leads to this host, others may lead past it. */
static bool hold_interface(int raw, struct ip src, struct error *err)
{
	struct ifaddrs *all;
	bool held = false;

	if (getifaddrs(&all) < 0)
		return error_set(err, errno, "list addresses");
	for (const struct ifaddrs *at = all; at && !held; at = at->ifa_next)
		held = at->ifa_addr && ip_equal(ip_of(at->ifa_addr), src) &&
		       !setsockopt(raw, SOL_SOCKET, SO_BINDTODEVICE, at->ifa_name,
				   (socklen_t)strlen(at->ifa_name));
	freeifaddrs(all);
	return held ||
	       error_set(err, -1, "no interface there has the address %s", ip_format(src).s);
}

/*
 * A container's packet must come to this host: nobody here would stop one that goes another way, or
 * to the container itself.
 */
static bool choose_way(struct probing *p, int raw, struct error *err)
{
	struct ip src = {0};

	if (p->borrower.family)
		return hold_interface(raw, p->borrower, err);
	if (!find_source(p, &src, err))
		return false;
	if (*p->refused)
		return true;
	if (p->from->pidfd < 0) {
		p->flow.src = src;
		return true;
	}
	p->goes_otherwise = true;
	if (!ip_equal(src, p->flow.src))
		return refuse(p, "its own namespace sends what goes there from %s",
			      ip_format(src).s);
	if (ip_equal(src, p->flow.dst))
		return refuse(p, "it stays in its own namespace");
	p->goes_otherwise = false;
	return hold_interface(raw, src, err);
}

/* Of SCTP, of echoes and of borrowed addresses the kernel gives no numbers away: a random one, as
 * chosen before. */
static bool hold_port(struct probing *p, int *held, struct error *err)
{
	bool tcp = p->probe.proto == IPPROTO_TCP;
	struct socket_address own = address_of(p->flow.src, 0);

	if (p->borrower.family || (!tcp && p->probe.proto != IPPROTO_UDP))
		return true;
	*held = socket(af(p->flow.src.family), (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	if (*held < 0 || bind(*held, &own.any, own.len) < 0 ||
	    getsockname(*held, &own.any, &own.len) < 0)
		return error_set(err, errno, "take a port of %s", ip_format(p->flow.src).s);
	p->flow.sport = ntohs(p->flow.src.family == 6 ? own.v6.sin6_port : own.v4.sin_port);
	return true;
}

static bool open_sockets(struct probing *p, struct sockets *s, struct error *err)
{
	s->raw = socket(af(p->flow.dst.family), SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (s->raw < 0)
		return error_set(err, errno, "open a raw socket%s",
				 errno == EPERM ? " (it takes CAP_NET_RAW; add --cap-add NET_RAW)"
						: "");
	return choose_way(p, s->raw, err) && (*p->refused || hold_port(p, &s->held, err));
}

static bool open_there(struct probing *p, struct sockets *s, struct error *err)
{
	int home;
	bool ok;

	if (!ns_enter(&home, p->from, err))
		return false;
	ok = open_sockets(p, s, err);
	ns_leave(home);
	return ok;
}

static bool choose_numbers(struct probing *p, struct error *err)
{
	struct {
		uint32_t token;
		uint16_t id, port;
	} random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return error_set(err, errno, "get random numbers");
	p->probe.family = p->flow.dst.family;
	p->probe.token = random.token;
	p->probe.id = (uint16_t)(random.id | 1);
	p->flow.sport = (uint16_t)(PORT_LOW + random.port % N_PORTS);
	return true;
}

static bool commit(int fd, const struct probe *probe, bool bridged, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	struct nft_batch batch = {0};
	bool ok;

	trace_watch(&batch, &a, probe, bridged);
	ok = netlink_talk(fd, batch.bytes.data, batch.bytes.len, batch.seq0, batch.n_messages, NULL,
			  err);
	buf_free(&batch.bytes);
	return ok;
}

/* Without a table for bridges what stays within one would arrive. */
static bool watch(int fd, const struct probing *p, struct error *err)
{
	struct error first = {0};

	if (commit(fd, &p->probe, true, &first) ||
	    (!p->within && commit(fd, &p->probe, false, err)))
		return true;
	if (p->within)
		*err = first;
	return error_wrap(err, "watch a packet (it takes Linux 5.12 with nf_tables%s)",
			  p->within ? ", for bridges, too" : "");
}

/* What the sender's own namespace refuses is an answer. */
static bool send_packet(int raw, struct probing *p, struct error *err)
{
	AUTO_BUF struct buf packet = {0};
	struct socket_address to = address_of(p->flow.dst, 0);

	probe_packet(&packet, &p->probe, &p->flow);
	if (sendto(raw, packet.data, packet.len, 0, &to.any, to.len) >= 0)
		return true;
	/* of the host's rules the trace tells, and ours are among them */
	if (errno == EPERM && p->from->pidfd < 0)
		return true;
	if (errno == EPERM)
		return refuse(p, "a rule in its own namespace drops it");
	if (has_no_route(errno))
		return refuse(p, "its own namespace has no route there");
	return error_set(err, errno, "send a packet to %s", ip_format(p->flow.dst).s);
}

struct hearing {
	struct trace *trace;
	struct arena *a;
	const struct probe *probe;
};

static bool take(void *context, const struct nlmsghdr *message)
{
	struct hearing *h = context;

	trace_take(h->trace, h->a, h->probe, message);
	return true;
}

static void listen_to(int ear, struct hearing *h)
{
	int patience = WAITING_MS;

	while (!trace_is_over(h->trace)) {
		struct pollfd p = {.fd = ear, .events = POLLIN};

		if (poll(&p, 1, patience) <= 0)
			return;
		netlink_hear(ear, take, h);
		patience = trace_is_waiting(h->trace) ? WAITING_MS : SILENCE_MS;
	}
}

static bool run(struct trace *trace, struct arena *a, struct probing *p, struct sockets *s,
		struct error *err)
{
	static const int groups[] = {NFNLGRP_NFTRACE, 0};
	AUTO_CLOSE int owner = netlink_open(NETLINK_NETFILTER, err);
	AUTO_CLOSE int ear = owner < 0 ? -1 : netlink_listen(NETLINK_NETFILTER, groups, err);
	struct hearing hearing = {trace, a, &p->probe};
	char table[32];

	if (ear < 0)
		return false;
	/* the owner's number: nobody else's tables are called so */
	snprintf(table, sizeof(table), TRACE_TABLE "%u", netlink_port(owner));
	p->probe.table = table;
	if (!open_there(p, s, err))
		return false;
	if (*p->refused)
		return true;
	if (!watch(owner, p, err) || !send_packet(s->raw, p, err))
		return false;
	if (!*p->refused)
		listen_to(ear, &hearing);
	conntrack_forget(p->from, p->probe.proto, &p->flow);
	return true;
}

bool probe_run(struct trace *trace, struct arena *a, struct probing *p, struct error *err)
{
	struct sockets s = {-1, -1};
	bool ok;

	*trace = (struct trace){0};
	ok = choose_numbers(p, err) && run(trace, a, p, &s, err);
	close_at_exit_of_scope(&s.raw);
	close_at_exit_of_scope(&s.held);
	if (!ok)
		return false;
	if (!if_indextoname(trace->in, p->in))
		*p->in = '\0';
	if (!if_indextoname(trace->out, p->out))
		*p->out = '\0';
	return true;
}
