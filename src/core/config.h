/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * networks.json, decoded and checked: what the user declared, nothing derived yet. Names are
 * resolved in core/resolve.h. Pure: bytes in, records and diagnostics out.
 */
#pragma once

#include "base/diag.h"
#include "base/ip.h"

enum {
	CONFIG_MAX_BYTES = 64 << 20,
	CONFIG_MAX_POLICIES = 200000,
	CONFIG_MAX_ADDRESSES = 65536,
	CONFIG_MAX_NETWORKS = 4096,
	CONFIG_MAX_NESTING = 32,
};

enum isolation { ISOLATION_DOCKER, ISOLATION_OPEN, ISOLATION_STRICT };
enum nat { NAT_NO, NAT_DNAT, NAT_MASQUERADE };
enum masquerade { MASQUERADE_AUTO, MASQUERADE_YES, MASQUERADE_NO };

/* Protocols are a set; an absent "proto" is tcp. */
enum proto {
	PROTO_TCP = 1 << 0,
	PROTO_UDP = 1 << 1,
	PROTO_SCTP = 1 << 2,
	PROTO_ICMP = 1 << 3, /* ICMPv6 where the addresses are IPv6 */
	PROTO_ANY = 1 << 4,
};

struct port_range {
	uint16_t low, high; /* inclusive; equal for a single port */
};

struct pair {
	const char *name, *value;
};

typedef LIST(const char *) name_list;

struct network {
	const char *key;  /* networks.KEY */
	const char *name; /* Docker's name */
	struct prefix subnet;
	struct ip gateway;
	const char *driver; /* "bridge" unless said otherwise */
	bool internal;
	uint32_t mtu; /* 0: Docker's default */
	LIST(struct pair) labels;
	LIST(struct pair) options;
	const char *bridge_name; /* declared, or derived from the name and stable; <= 15 bytes */
	struct prefix ip_range; /* declared, or the largest free half, quarter …; family 0: none */
	bool bridge_name_declared, ip_range_declared;
	enum isolation isolation;
};

struct address {
	const char *key; /* ips.KEY */
	struct ip ip;
	const char *container_name, *selector, *service_name; /* NULL where absent */
	uint32_t network; /* index of the network whose subnet holds it, or NONE */
};

/* Docker's name of the container that an address belongs to: container_name, else selector. */
const char *address_container(const struct address *address);

/*
 * Equal names are one pointer, so that policies' names can be looked up without reading them. There
 * may be 200 000 of these, for as long as the daemon runs: the small members stand together.
 */
struct policy {
	const char *service_name, *container_name, *selector; /* the subject; NULL where absent */
	const char *from;
	name_list to;
	LIST(struct port_range) ports; /* empty: every port; sorted, not overlapping */
	const char *name;	       /* container whose namespace the rule lives in */
	const char *iface;	       /* incoming interface */
	const char *comment;
	uint16_t to_port;   /* 0: same as the destination port */
	uint8_t protos;	    /* set of enum proto, never empty */
	uint8_t nat;	    /* enum nat */
	uint8_t masquerade; /* enum masquerade */
	bool log;
	bool broken; /* a field is wrong: what fields mean together is not asked any more */
};

struct config {
	const char *file; /* as the user named it */
	LIST(struct network) networks;
	LIST(struct address) addresses;
	LIST(struct policy) policies; /* index = the N of policies[N] */
	uint32_t *by_subnet; /* indexes of networks that have one, sorted by it, none overlapping */
	uint32_t n_by_subnet;
	uint64_t digest; /* of the bytes; equal files have equal digests */
};

/*
 * Decodes and checks len bytes. Results and diagnostics live in the arena. False if there is any
 * error diagnostic; *config then holds what could be decoded and must not be enforced. Diagnostics
 * have their positions and are sorted. Warnings that need resolved names come from resolve().
 */
MUST_CHECK bool config_decode(struct config *config, struct diags *diags, struct arena *a,
			      const char *file, const char *text, size_t len);

/* Index of the network whose subnet holds all of it, or NONE. */
uint32_t config_network_of(const struct config *config, struct prefix prefix);

/* Equal texts have equal digests; for telling that a file changed, not for security. */
uint64_t config_digest(const char *text, size_t len);

/* The interface name that Docker is told for a network without bridge_name: "hw-" and a hash. */
const char *config_bridge_name(struct arena *a, const char *network_name);
