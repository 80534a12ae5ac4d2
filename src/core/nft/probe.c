/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/nft/probe.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <string.h>

enum { TTL = 64, WINDOW = 64240 };

/*
 * Internet checksum (RFC 1071) of an even number of bytes. Takes the sum so far and returns the new
 * one.
 */
static uint32_t add_words(uint32_t sum, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i += sizeof(uint16_t)) {
		uint16_t word;

		memcpy(&word, at + i, sizeof(word));
		sum += ntohs(word);
	}
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* TCP, UDP and ICMPv6 also sum up addresses, protocol and length. */
static uint16_t sum_of(const struct probe *probe, const struct probe_flow *flow, const void *bytes,
		       size_t len)
{
	size_t address = ip_bits(flow->dst) / 8;
	uint32_t sum = add_words((uint32_t)(probe->proto + len), flow->src.bytes, address);

	return fold(add_words(add_words(sum, flow->dst.bytes, address), bytes, len));
}

static uint32_t crc32c(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void tcp(struct buf *out, const struct probe *probe, const struct probe_flow *flow)
{
	struct tcphdr h = {.source = htons(flow->sport),
			   .dest = htons(flow->dport),
			   .seq = htonl(probe->token),
			   .doff = sizeof(h) / 4,
			   .syn = 1,
			   .window = htons(WINDOW)};

	h.check = sum_of(probe, flow, &h, sizeof(h));
	buf_add(out, &h, sizeof(h));
}

static void udp(struct buf *out, const struct probe *probe, const struct probe_flow *flow)
{
	struct {
		struct udphdr head;
		uint32_t data;
	} d = {.head = {.source = htons(flow->sport),
			.dest = htons(flow->dport),
			.len = htons(sizeof(d))},
	       .data = htonl(probe->token)};

	d.head.check = sum_of(probe, flow, &d, sizeof(d));
	d.head.check = d.head.check ? d.head.check
				    : UINT16_MAX; /* in UDP, 0 means that there is no checksum */
	buf_add(out, &d, sizeof(d));
}

struct echo {
	struct icmphdr head; /* an ICMPv6 echo has the same layout */
	uint32_t data;
};

static struct echo echo_of(uint8_t type, const struct probe *probe, const struct probe_flow *flow)
{
	return (struct echo){.head = {.type = type, .un.echo.id = htons(flow->sport)},
			     .data = htonl(probe->token)};
}

static void icmp(struct buf *out, const struct probe *probe, const struct probe_flow *flow)
{
	struct echo e = echo_of(ICMP_ECHO, probe, flow);

	e.head.checksum = fold(add_words(0, &e, sizeof(e)));
	buf_add(out, &e, sizeof(e));
}

static void icmp6(struct buf *out, const struct probe *probe, const struct probe_flow *flow)
{
	struct echo e = echo_of(ICMPV6_ECHO_REQUEST, probe, flow);

	e.head.checksum = sum_of(probe, flow, &e, sizeof(e));
	buf_add(out, &e, sizeof(e));
}

/* RFC 9260: the common header and an INIT chunk */
static void sctp(struct buf *out, const struct probe *probe, const struct probe_flow *flow)
{
	struct {
		uint16_t sport, dport;
		uint32_t tag, sum;
		uint8_t chunk, flags;
		uint16_t len;
		uint32_t own_tag, window;
		uint16_t streams_out, streams_in;
		uint32_t tsn;
	} s = {.sport = htons(flow->sport),
	       .dport = htons(flow->dport),
	       .chunk = 1,
	       .len = htons(20),
	       .own_tag = htonl(probe->token),
	       .window = htonl(UINT16_MAX),
	       .streams_out = htons(1),
	       .streams_in = htons(1),
	       .tsn = htonl(probe->token)};

	s.sum = htole32(crc32c(&s, sizeof(s)));
	buf_add(out, &s, sizeof(s));
}

static const struct {
	uint8_t proto;
	void (*add)(struct buf *out, const struct probe *probe, const struct probe_flow *flow);
} kinds[] = {{IPPROTO_TCP, tcp},
	     {IPPROTO_UDP, udp},
	     {IPPROTO_ICMP, icmp},
	     {IPPROTO_ICMPV6, icmp6},
	     {IPPROTO_SCTP, sctp}};

static void add_header4(struct buf *out, const struct probe *probe, const struct probe_flow *flow,
			size_t len)
{
	struct iphdr ip = {.version = 4,
			   .ihl = sizeof(ip) / 4,
			   .tot_len = htons((uint16_t)(sizeof(ip) + len)),
			   .id = htons(probe->id),
			   .ttl = TTL,
			   .protocol = probe->proto};

	memcpy(&ip.saddr, flow->src.bytes, sizeof(ip.saddr));
	memcpy(&ip.daddr, flow->dst.bytes, sizeof(ip.daddr));
	ip.check = fold(add_words(0, &ip, sizeof(ip)));
	buf_add(out, &ip, sizeof(ip));
}

static void add_header6(struct buf *out, const struct probe *probe, const struct probe_flow *flow,
			size_t len)
{
	struct ipv6hdr ip = {.version = 6,
			     .flow_lbl = {0, (uint8_t)(probe->id >> 8), (uint8_t)probe->id},
			     .payload_len = htons((uint16_t)len),
			     .nexthdr = probe->proto,
			     .hop_limit = TTL};

	memcpy(&ip.saddr, flow->src.bytes, sizeof(ip.saddr));
	memcpy(&ip.daddr, flow->dst.bytes, sizeof(ip.daddr));
	buf_add(out, &ip, sizeof(ip));
}

void probe_packet(struct buf *out, const struct probe *probe, const struct probe_flow *flow)
{
	AUTO_BUF struct buf body = {0};

	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (kinds[i].proto == probe->proto)
			kinds[i].add(&body, probe, flow);
	(flow->dst.family == 6 ? add_header6 : add_header4)(out, probe, flow, body.len);
	buf_add(out, body.data, body.len);
}
