/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int af(uint8_t family)
{
	return family == 6 ? AF_INET6 : AF_INET;
}

bool ip_parse(struct ip *ip, const char *text)
{
	*ip = (struct ip){.family = strchr(text, ':') ? 6 : 4};
	/* inet_pton takes no leading zeros, no shortened and no hexadecimal octets */
	if (inet_pton(af(ip->family), text, ip->bytes) == 1)
		return true;
	*ip = (struct ip){0};
	return false;
}

bool prefix_parse(struct prefix *p, const char *text)
{
	const char *slash = strchr(text, '/');
	char ip[IP_TEXT_LEN];
	size_t len;

	*p = (struct prefix){0};
	if (!slash || (size_t)(slash - text) >= sizeof(ip))
		return false;
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	len = strspn(slash + 1, "0123456789");
	if (len < 1 || len > 3 || slash[1 + len] || (len > 1 && slash[1] == '0'))
		return false;
	if (!ip_parse(&p->ip, ip) || atoi(slash + 1) > ip_bits(p->ip)) {
		*p = (struct prefix){0};
		return false;
	}
	p->len = (uint8_t)atoi(slash + 1);
	return true;
}

struct ip ip_v4(uint32_t host_order)
{
	struct ip ip = {.family = 4};
	uint32_t net = htonl(host_order);

	memcpy(ip.bytes, &net, 4);
	return ip;
}

uint32_t ip_to_v4(struct ip ip)
{
	uint32_t net = 0;

	if (ip.family == 4)
		memcpy(&net, ip.bytes, 4);
	return ntohl(net);
}

struct ip ip_plus(struct ip ip, uint32_t n)
{
	uint64_t carry = n;

	for (int i = ip_bits(ip) / 8 - 1; i >= 0 && carry; i--) {
		carry += ip.bytes[i];
		ip.bytes[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return ip;
}

struct prefix prefix_of(struct ip ip)
{
	return (struct prefix){.ip = ip, .len = ip_bits(ip)};
}

/* The address with all bits after the first len set to `fill`. */
static struct ip fill_host_bits(struct prefix p, bool fill)
{
	unsigned bits = ip_bits(p.ip);

	for (unsigned byte = p.len / 8; byte < bits / 8; byte++) {
		uint8_t host = (uint8_t)(byte == p.len / 8 ? 0xff >> p.len % 8 : 0xff);

		if (fill)
			p.ip.bytes[byte] |= host;
		else
			p.ip.bytes[byte] &= (uint8_t)~host;
	}
	return p.ip;
}

struct ip prefix_first(struct prefix p)
{
	return fill_host_bits(p, false);
}

struct ip prefix_last(struct prefix p)
{
	return fill_host_bits(p, true);
}

struct prefix prefix_canonical(struct prefix p)
{
	return (struct prefix){.ip = prefix_first(p), .len = p.len};
}

bool prefix_is_canonical(struct prefix p)
{
	return ip_equal(p.ip, prefix_first(p));
}

bool prefix_overlaps(struct prefix a, struct prefix b)
{
	return prefix_covers(a, b) || prefix_covers(b, a);
}

struct prefix prefix_part(struct prefix p, uint8_t len, uint32_t i)
{
	struct prefix part = {prefix_first(p), len};

	for (unsigned bit = len; bit > p.len && i; i >>= 1) {
		bit--;
		if (i & 1)
			part.ip.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return part;
}

static char *put_number(char *at, uint8_t number)
{
	if (number >= 100)
		*at++ = (char)('0' + number / 100);
	if (number >= 10)
		*at++ = (char)('0' + number / 10 % 10);
	*at++ = (char)('0' + number % 10);
	return at;
}

/* Faster than inet_ntop, which uses printf: most of a ruleset's text is addresses. */
static struct ip_text format_v4(const uint8_t *bytes)
{
	struct ip_text text = {0};
	char *at = text.s;

	for (int i = 0; i < 4; i++) {
		at = put_number(at, bytes[i]);
		*at++ = i < 3 ? '.' : '\0';
	}
	return text;
}

struct ip_text ip_format(struct ip ip)
{
	struct ip_text text = {0};

	if (ip.family == 4)
		return format_v4(ip.bytes);
	if (!ip.family || !inet_ntop(af(ip.family), ip.bytes, text.s, sizeof(text.s)))
		snprintf(text.s, sizeof(text.s), "-");
	return text;
}

struct ip_text prefix_format_full(struct prefix p)
{
	struct ip_text text = ip_format(p.ip);
	char *at = text.s + strlen(text.s);

	*at++ = '/';
	at = put_number(at, p.len);
	*at = '\0';
	return text;
}

struct ip_text prefix_format(struct prefix p)
{
	return prefix_is_single(p) || !p.ip.family ? ip_format(p.ip) : prefix_format_full(p);
}

/* Numbers by IANA. */
static const struct protocol {
	const char *name;
	uint8_t number;
	bool ports;
} protocols[] = {{"tcp", IPPROTO_TCP, true},
		 {"udp", IPPROTO_UDP, true},
		 {"sctp", IPPROTO_SCTP, true},
		 {"icmp", IPPROTO_ICMP, false}};

static const struct protocol *find_protocol(uint8_t number)
{
	for (size_t i = 0; i < COUNT_OF(protocols); i++)
		if (protocols[i].number == number)
			return &protocols[i];
	return NULL;
}

const char *protocol_name(uint8_t number)
{
	const struct protocol *found = find_protocol(number);

	return found ? found->name : "other";
}

uint8_t protocol_number(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(protocols); i++)
		if (!strcmp(protocols[i].name, name))
			return protocols[i].number;
	return 0;
}

bool protocol_has_name(uint8_t number)
{
	return find_protocol(number) != NULL;
}

uint8_t protocol_in_family(uint8_t number, uint8_t family)
{
	return number == IPPROTO_ICMP && family == 6 ? IPPROTO_ICMPV6 : number;
}

const char *protocol_common_name(uint8_t number)
{
	return protocol_name(number == IPPROTO_ICMPV6 ? IPPROTO_ICMP : number);
}

bool protocol_has_ports(uint8_t number)
{
	const struct protocol *found = find_protocol(number);

	return found && found->ports;
}

bool prefix_parse_any(struct prefix *p, const char *text)
{
	struct ip ip;

	if (!ip_parse(&ip, text))
		return prefix_parse(p, text);
	*p = prefix_of(ip);
	return true;
}
