/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies, taken apart into what a packet filter knows: allowed flows, translations, masquerading,
 * per namespace. core/compile/policies.c writes them, core/program/program.h and
 * core/iptables/program.h make rules of them. Pure.
 *
 * In this room:
 *     flows.h       what the rules shall let through
 *     hooks.h       where our rules meet Docker's
 *     interfaces.h  sets of names of interfaces
 *     share.h       which clients have which of several targets
 */
#pragma once

#include "core/flows/interfaces.h"
#include "core/flows/share.h"
#include "core/resolve/resolve.h"

#include <netinet/in.h>

/* IP protocol numbers (IANA); 0 stands for "every protocol". */
struct traffic {
	uint8_t proto;
	/* destination ports, inclusive; of ICMP: types; 0-65535: every one, or none exist */
	uint16_t low, high;
};

/* An echo request: RFC 792, RFC 4443. */
enum { ECHO_REQUEST = 8, ECHO_REQUEST6 = 128 };
/* Neighbour discovery: RFC 4861. */
enum { ROUTER_SOLICITATION = 133, NEIGHBOUR_SOLICITATION = 135, NEIGHBOUR_ADVERTISEMENT };

struct traffic traffic_of(enum proto proto); /* all of it */

/* Of ICMP, and not every type. */
static inline bool match_has_types(struct traffic match)
{
	return (match.proto == IPPROTO_ICMP || match.proto == IPPROTO_ICMPV6) &&
	       (match.low || match.high != UINT16_MAX);
}

/* "icmp" means each family's own. */
struct traffic traffic_in_family(struct traffic match, uint8_t family);

/*
 * What one policy lets through: everything of `from` to everything of `to`, by these matches. Both
 * ends are of one family: a policy whose ends have both is two of these.
 */
struct grant {
	const struct peers *from, *to;
	const char *from_name, *to_name; /* as the file calls them; NULL: they have no name */
	const char *iface;		 /* by which it must come in; NULL: any */
	const struct traffic *matches;
	uint32_t n_matches;
	bool translated; /* it leads a translation's packets through the host: counted elsewhere */
	bool logged;	 /* its new connections */
	uint32_t origin;
};
typedef LIST(struct grant) grant_list;

struct translation {
	const char *iface;  /* NULL: any */
	struct prefix from; /* family 0: anybody */
	/*
	 * More than a few sources are a list: a translation for each of its members, one behind the
	 * other and but for `from` the same, so that they can be one rule. NULL: it stands alone.
	 */
	const struct peers *list;
	const char *list_name;
	struct traffic match;
	struct share share; /* of several targets: whose it is */
	struct ip to;
	uint16_t to_port; /* 0: keep */
	bool masquerade;
	bool keeps;  /* the target must see the source, whatever others need */
	bool own;    /* of what the host itself begins: its source is an address of the host */
	bool logged; /* its new connections, where the host forwards them */
	uint32_t origin;
};
typedef LIST(struct translation) translation_list;

/* Its target has clients of the first division, too: all but the choice of them is said there. */
static inline bool translation_repeats(const struct translation *t)
{
	return t->share.division > 0;
}

struct masquerading {
	uint8_t family;			 /* 4 or 6 */
	const char *oface;		 /* NULL: any */
	const struct peers *from, *to;	 /* NULL: any */
	const char *from_name, *to_name; /* as the file calls them */
	struct traffic match;
	uint32_t origin;
};

struct bound_subnet {
	struct prefix subnet;
	const char *bridge;
	bool open;     /* Docker lets others begin something there: gateway modes of its own */
	bool declared; /* by the file */
};
typedef LIST(struct bound_subnet) bound_list;

struct closed {
	const char *bridge;
	bool internal; /* nothing gets out either */
	bool apart;    /* nor from one of its containers to another */
};
typedef LIST(struct closed) closed_list;

/* A network whose containers begin nothing beyond it but by policies. */
struct denied {
	const char *bridge;
	uint32_t network; /* of the file */
	LIST(struct prefix) subnets;
};
typedef LIST(struct denied) denied_list;

/* A MAC address, and an IP address that may be sent with it. */
struct sender {
	uint8_t mac[6];
	struct ip ip;
};
typedef LIST(struct sender) sender_list;

/*
 * A strict network: nothing gets in but by policies, from its own containers neither. Or one whose
 * isolation is audited, which is as open as if this were not written.
 */
struct sealed {
	const char *bridge;
	uint32_t network;    /* of the file */
	bool closed_to_host; /* "host": false: new connections of this host are dropped, too */
	LIST(struct prefix) subnets;
	LIST(struct ip) declared; /* who may get something at all */
	/* Who may send: whom the engine has there. */
	sender_list senders;
	/* The same addresses, with the MAC addresses that their containers have on other networks.
	 */
	sender_list elsewhere;
	/* Of the host, where its programs serve what containers there publish. */
	LIST(struct published {
		uint16_t port;
		uint8_t proto;
	})
	published;
};
typedef LIST(struct sealed) sealed_list;

struct flows {
	bool counted; /* each says how many connections it let through */
	grant_list grants;
	/* Host only, by declared network: */
	const char *const *bridges; /* its interface, as it is or will be; NULL: it has none */
	const bool *apart;	    /* its containers reach each other by policies */
	translation_list translations;
	translation_list own; /* host only: of what the host itself begins */
	LIST(struct masquerading) masquerades;
	/* Host only: subnets whose addresses count as sources only on their own bridge. */
	bound_list bound;
	/*
	 * Host only: every bridge of the engine's, sorted, and what is at home there. Another
	 * source does not count where it comes in by one of them.
	 */
	bound_list homes;
	/* Host only: what comes in by one of these and leaves by one is between containers. */
	interfaces between;
	/* Host only: translated flows from these subnets to themselves need masquerading. */
	LIST(struct prefix) hairpins;
	/* Host only, where nobody else does: bridges that other interfaces do not get into. */
	closed_list closed;
	/* The same where Docker closes them to IPv4 alone: only what is IPv6 is stopped. */
	closed_list closed6;
	/* Host only: networks with egress deny … */
	denied_list denied;
	/* … and with egress audit … */
	denied_list audited;
	/* … and what policies let them begin, beside grants: towards addresses of no network of the
	 * file, which nothing else of ours opens or closes; */
	grant_list lifts;
	grant_list to_host; /* and towards this host itself (`to` is NULL) */
	sealed_list sealed; /* host only: strict networks … */
	/* … and those with isolation audit, of which only the nftables backend knows */
	sealed_list watched;
	/* What policies let this host begin into those that are closed to it (`from` is NULL). */
	grant_list from_host;
	bool ipv6;  /* something above is of IPv6 */
	bool types; /* a grant or a lift is of types of ICMP */
};

/* Types of ICMP, or of ICMPv6. */
struct icmp_types {
	uint8_t family, first, last;
};

/* Destination unreachable, too big, time exceeded, parameter problem: RFC 792, RFC 4443. */
extern const struct icmp_types icmp_errors[];
extern const size_t n_icmp_errors;

/* More are a list, which is a set of its own. */
enum { FEW_SOURCES = 4 };

/* There is something to say. */
bool flows_matter(const struct flows *flows);
/* A policy masquerades what leaves by this bridge, in this family. */
bool flows_masquerade_by(const struct flows *flows, const struct bound_subnet *bound);

/*
 * Which of several translations takes a packet: the one whose rank is lowest, and of these the
 * first one. The chain has them in this order.
 */
enum translation_rank {
	RANK_SOURCE, /* for one source */
	RANK_MAP,    /* interface, protocol, port and nothing else: an element of a map */
	RANK_REST,
	N_RANKS,
};
enum translation_rank translation_rank(const struct translation *t);

/* A translation masquerades. */
bool flows_masquerade_some(const struct flows *flows);
/* The subnet that the translation's clients and its target are on, where what stays there is
 * masqueraded; NULL: none. */
const struct prefix *flows_hairpin_of(const struct flows *flows, const struct translation *t);

/*
 * What there is of one family, for rules that are written for each of them apart. A bridge that has
 * no subnet of the family is among the homes with a prefix of family 0. `closed` has closed6, too.
 */
struct flows flows_of_family(const struct flows *flows, struct arena *a, uint8_t family);

/* It is written as pairs of single addresses, because it has only a few of them. */
bool grant_is_few_pairs(const struct grant *grant);

bool match_has_ports(struct traffic match);  /* tcp, udp, sctp */
bool match_every_port(struct traffic match); /* 0-65535 */
bool match_single_port(struct traffic match);
/* A packet of this protocol with this port, or type of ICMP, is of the match. */
bool match_holds(struct traffic match, uint8_t proto, uint16_t port);
