/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * networks.json, decoded and checked: what the user declared, nothing derived yet. Names are
 * resolved in core/resolve/resolve.h. Pure: bytes in, records and diagnostics out.
 *
 * In this room:
 *     config.h   the types, loading, and look-ups
 *     fields.h   objects of the file, decoded by tables of their fields
 *     place.h    where in the file a declaration stands
 *     drivers.h  what Docker's network drivers mean for packets
 *     impl.h     what the sources of this room share
 */
#pragma once

#include "base/diag.h"
#include "base/ip.h"

enum {
	CONFIG_MAX_BYTES = 64 << 20,
	CONFIG_MAX_POLICIES = 200000,
	CONFIG_MAX_ADDRESSES = 65536,
	CONFIG_MAX_NETWORKS = 4096,
	CONFIG_MAX_TESTS = 10000,
	CONFIG_MAX_LISTED = 262144, /* prefixes in all lists, each list counted once */
	CONFIG_MAX_LIST_FILES = 64,
	CONFIG_MAX_TARGETS = 32,  /* of a translation, in each family: xt_cluster takes no more */
	CONFIG_MAX_MAPPED = 1024, /* ports of a policy that to_port maps one to one */
	CONFIG_MAX_MAPPED_OF_LIST = 65536, /* … times the prefixes of the list in its "from" */
};

/* Strict: nothing gets in but by policies, from a container of the same network neither. */
/* audit: as docker, and what strict would stop is counted. */
enum isolation { ISOLATION_DOCKER, ISOLATION_OPEN, ISOLATION_STRICT, ISOLATION_AUDIT };
/* What its containers begin beyond it. Audit: as open; what deny would stop is counted. */
enum egress { EGRESS_OPEN, EGRESS_DENY, EGRESS_AUDIT };
enum nat { NAT_NO, NAT_DNAT, NAT_MASQUERADE };
enum masquerade { MASQUERADE_AUTO, MASQUERADE_YES, MASQUERADE_NO };

/* Protocols are a set. An absent "proto" means tcp; for masquerade without ports it means any. */
enum proto {
	PROTO_TCP = 1 << 0,
	PROTO_UDP = 1 << 1,
	PROTO_SCTP = 1 << 2,
	PROTO_ICMP = 1 << 3, /* ICMPv6 where the addresses are IPv6 */
	PROTO_ANY = 1 << 4,
	PROTO_ECHO = 1 << 5, /* of icmp, what begins with an echo request: ping */
	PROTO_END = 1 << 6,
	PROTOS_OF_ICMP = PROTO_ICMP | PROTO_ECHO, /* they have no ports */
};

const char *egress_name(enum egress egress); /* "open" */
/* The name of one protocol of the set. */
const char *proto_name(enum proto proto);
uint8_t proto_number(enum proto proto); /* IANA's; 0: any */
/* A set with all that is part of its members. */
static inline uint8_t protos_with_parts(uint8_t protos)
{
	return protos & PROTO_ICMP ? protos | PROTO_ECHO : protos;
}

/* Of a test. Untranslated: no policy takes it on its way to this host. */
enum expect { EXPECT_CLOSED, EXPECT_OPEN, EXPECT_UNTRANSLATED };
const char *expect_name(enum expect expect);

struct port_range {
	uint16_t low, high; /* inclusive; equal for a single port */
};

struct pair {
	const char *name, *value;
};
typedef LIST(struct pair) pair_list;

typedef LIST(const char *) name_list;

/* What a network has in one family, as Docker's IPAM knows it. All-zero: nothing. */
struct ipam {
	struct prefix subnet;
	struct ip gateway;
	struct prefix ip_range; /* of dynamic addresses; family 0: none */
};

struct network {
	const char *key;  /* networks.KEY */
	const char *name; /* Docker's name */
	union {
		struct ipam ipam[N_FAMILIES]; /* at least one has a subnet */
		struct {
			struct prefix subnet;
			struct ip gateway;
			struct prefix ip_range; /* declared, or the largest free half, quarter … */
			struct prefix subnet6;
			struct ip gateway6;
			struct prefix ip_range6;
		};
	};
	const char *driver; /* "bridge" unless said otherwise */
	bool internal;
	uint32_t mtu; /* 0: Docker's default */
	pair_list labels;
	pair_list options;
	const char *bridge_name; /* declared, or derived from the name and stable; <= 15 bytes */
	bool bridge_name_declared, ip_range_declared[N_FAMILIES];
	enum isolation isolation;
	bool host; /* of a strict network: this host itself may begin connections into it */
	enum egress egress;
};

/*
 * One address of a container. An entry of ips with `ip` and `ip6` is two of these, side by side, of
 * one key and the same names. Names that many things bear or mean are numbers, of config->names; 0
 * where absent.
 */
struct address {
	const char *key; /* ips.KEY */
	struct ip ip;	 /* of either family */
	uint32_t container_name, selector, service_name;
	uint32_t network; /* index of the network whose subnet holds it, or NONE */
};

/* A network's subnet of one family. */
struct declared_subnet {
	struct prefix subnet;
	uint32_t network;
};

/* Docker's name of the container that an address belongs to: container_name, else selector. */
static inline uint32_t address_container(const struct address *address)
{
	return address->container_name ? address->container_name : address->selector;
}

/* A member of a list that is a name. */
struct listed_name {
	uint32_t name, node; /* node: its place, while the file is loaded */
};

/*
 * A list of sources or targets in one policy, or a file that contains one. It has a number, as
 * names have; the text of that number is what people read: "web, 10.0.0.0/8", "10000 networks".
 */
struct member_list {
	uint32_t name;
	const char *label; /* the first member, or the file: it stays the same while others come and
			      go */
	bool in_file;	   /* the whole of it stands in that file */
	LIST(struct prefix) nets; /* sorted, each once */
	LIST(struct listed_name) names;
};

/* A file that lists prefixes: its text, or why it could not be read. */
struct list_file {
	const char *name; /* as in the configuration, without "@" */
	const char *path; /* as in messages */
	const char *text; /* "" where it could not be read */
	size_t len;
	const char *trouble; /* why it could not be read; NULL: it could */
};
typedef LIST(struct list_file) list_files;

/* Which field names the subject: the last of these that the policy has. */
enum subject { SUBJECT_NONE, SUBJECT_SERVICE, SUBJECT_CONTAINER, SUBJECT_SELECTOR };

extern const char *const subject_fields[];

/*
 * There may be 200 000 of these for as long as the daemon runs, so they are small: names are
 * numbers, and parts of variable size are elsewhere (policy_ports, policy_comment).
 */
struct policy {
	uint32_t subject, from, to;
	uint32_t name;	  /* container whose namespace the rule lives in */
	uint32_t iface;	  /* incoming interface */
	uint32_t comment; /* its offset in config->comments; 0: none */
	uint32_t line;	  /* where it begins in the file */
	union {
		struct port_range port; /* if there is one */
		uint32_t first;		/* index into config->ranges, if there are more */
	} ports;
	uint16_t n_ports;   /* 0: every port */
	uint16_t to_port;   /* 0: same as the destination port; mapped: the first one's */
	uint8_t protos;	    /* set of enum proto, never empty */
	uint8_t nat;	    /* enum nat */
	uint8_t masquerade; /* enum masquerade */
	uint8_t kind : 2;   /* enum subject */
	uint8_t broken : 1; /* it has an error: do not report errors that follow from it */
	uint8_t log : 1;    /* its new connections are logged */
	/*
	 * Each of its ports has a port of its own at the target. Of several ranges, those at the
	 * target are in config->ranges behind those asked for.
	 */
	uint8_t mapped : 1;
};

/* A test: the expected state of all connections between two ends. */
struct flow_test {
	const char *from, *to;	       /* names as in policies; or any, outside, host */
	LIST(struct port_range) ports; /* sorted; none: every port */
	uint8_t protos;		       /* set of enum proto, never empty */
	enum expect expect;
	const char *iface; /* by which all of it comes in; NULL: any */
	uint32_t at, line; /* its place: offset in the text, line */
};

struct config {
	const char *file; /* as the user wrote it */
	LIST(struct network) networks;
	LIST(struct address) addresses;
	LIST(struct policy) policies; /* index = the N of policies[N] */
	LIST(struct flow_test) tests;
	name_list names;		/* by number; [0] is NULL */
	LIST(struct member_list) lists; /* sorted by their numbers */
	LIST(struct port_range) ranges;
	const char *comments;		   /* one behind the other */
	struct declared_subnet *by_subnet; /* sorted, IPv4 first, none overlapping */
	uint32_t n_by_subnet;
	bool logs;	 /* a policy has log */
	bool denies;	 /* a network has egress deny: what it stops is logged */
	bool audits;	 /* a network has egress audit: what deny would stop is logged */
	bool stricts;	 /* a network is strict: what it stops is logged, too */
	bool watches;	 /* a network has isolation audit: what strict would stop is logged */
	bool has_ipv6;	 /* a network has a subnet6: "any" means both families */
	uint32_t *by_ip; /* indexes of addresses that have one, sorted by it */
	uint32_t n_by_ip;
	bool resolvable; /* everything but policies is valid: names can be looked up */
	uint64_t digest; /* of all bytes it was read from, lists too: differs if one changed */
};

struct config_text;

/*
 * Parses the text into the tree of *kept, which refers to the bytes. False: it is not JSON; a
 * diagnostic says why.
 */
MUST_CHECK bool config_parse(struct config_text *kept, struct diags *diags, const char *text,
			     size_t len);
/*
 * Names of the files that policies use as "@FILE", each once and without "@"; without invalid ones.
 */
void config_list_files(name_list *names, struct arena *a, const struct config_text *kept);

/*
 * Decodes and checks what was parsed; files: those that config_list_files named. Results and
 * diagnostics are in the arena. False: there is an error diagnostic; *config then has what could be
 * decoded, and must not be enforced. *kept remembers where things are in the text, for later
 * diagnostics (core/config/place.h). Diagnostics have lines and columns after diags_place. Warnings
 * that need resolved names come from resolve().
 */
MUST_CHECK bool config_decode_parsed(struct config *config, struct config_text *kept,
				     struct diags *diags, struct arena *a, const char *file,
				     const list_files *files);
/* Parses and decodes a configuration that names no files. */
MUST_CHECK bool config_decode(struct config *config, struct config_text *kept, struct diags *diags,
			      struct arena *a, const char *file, const char *text, size_t len);

static inline bool network_is_closed_to_host(const struct network *network)
{
	return network->isolation == ISOLATION_STRICT && !network->host;
}

/* … or would be, if it were strict instead of audited. */
static inline bool network_minds_host(const struct network *network)
{
	return network_is_closed_to_host(network) ||
	       (network->isolation == ISOLATION_AUDIT && !network->host);
}

/* The text of a name's number; NULL for 0. */
static inline const char *config_name(const struct config *config, uint32_t name)
{
	return config->names.items[name];
}

/* "network" or "broadcast", where no container can have this address of the subnet; else NULL. */
const char *config_reserved(struct prefix subnet, struct ip ip);

/* It can be a source or target: it has no host bits, and packets from it pass a host. */
bool prefix_is_usable(struct prefix prefix);
/* Why it is not usable, with the remedy; text: as the user wrote it. */
const char *prefix_why_unusable(struct arena *a, struct prefix prefix, const char *text);

/* The list with this number; NULL: the number is a name's. */
const struct member_list *config_list(const struct config *config, uint32_t name);
/* What people read for this number: a list's label, or the name. */
const char *config_label(const struct config *config, uint32_t name);

/* Sorted, without overlaps, p->n_ports of them. */
static inline const struct port_range *policy_ports(const struct config *config,
						    const struct policy *p)
{
	return p->n_ports == 1 ? &p->ports.port : config->ranges.items + p->ports.first;
}

/* The port at the target, for a port of the policy's range r. */
static inline uint16_t policy_target_port(const struct config *config, const struct policy *p,
					  uint32_t r, uint16_t port)
{
	uint16_t first = p->to_port;

	if (!p->mapped)
		return first ? first : port;
	if (p->n_ports > 1)
		first = config->ranges.items[p->ports.first + p->n_ports + r].low;
	return (uint16_t)(first + (port - policy_ports(config, p)[r].low));
}

/* The policy's comment; NULL: none. */
static inline const char *policy_comment(const struct config *config, const struct policy *p)
{
	return p->comment ? config->comments + p->comment : NULL;
}

/* Position in by_ip of the first address that is not before this one. */
uint32_t config_first_ip(const struct config *config, struct ip ip);

/* Index of the file's entry for this address, or NONE. */
uint32_t config_address_of(const struct config *config, struct ip ip);
/* Docker's name of the container with this address; NULL: none. */
const char *config_container_at(const struct config *config, struct ip ip);

/* Index of the network whose subnet contains the whole prefix, or NONE. */
uint32_t config_network_of(const struct config *config, struct prefix prefix);
