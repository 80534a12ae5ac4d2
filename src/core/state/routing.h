/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a packet leaves a namespace, according to its routes and rules: the same look-up as the
 * kernel's (fib_rules_lookup, fib_table_lookup, fib6_node_lookup; ip-rule(8), ip-route(8)). Each
 * family has routes and rules of its own. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"

enum { TABLE_MAIN = 254, TABLE_LOCAL = 255 };
/* Of a route of IPv6 that is added without a metric; one of IPv4 has 0. */
enum { USUAL_METRIC6 = 1024 };

enum ip_rule_action { RULE_TABLE, RULE_GOTO, RULE_NOTHING, RULE_REFUSES };

struct ip_rule {
	uint32_t priority;
	enum ip_rule_action action;
	uint32_t table;		/* of RULE_TABLE; the priority to go on at of RULE_GOTO */
	struct prefix src, dst; /* family 0: any */
	uint32_t mark, mask;
	uint8_t proto; /* 0: any */
	uint16_t sport_low, sport_high, dport_low, dport_high;
	int16_t suppresses; /* ignores routes of this prefix length or shorter; -1: none */
	bool inverted;
	bool elsewhere; /* it needs something our packets never have: another interface, a user, …
			 */
};

enum path_type { PATH_LEAVES, PATH_LOCAL, PATH_REFUSES, PATH_THROWS };

/* A route, whoever wrote it. */
struct ip_route {
	struct prefix dst; /* of any length */
	struct prefix src; /* length 0: any; others are of IPv6 only */
	uint32_t table, metric;
	uint32_t device;
	enum path_type type;
	bool ours;
};

struct ip_device {
	uint32_t index;
	const char *name;
};

struct routing {
	uint8_t family;		    /* 4 or 6 */
	LIST(struct ip_rule) rules; /* in their order */
	LIST(struct ip_route) paths;
	/*
	 * The only device by which anything leaves, whatever the routes say in detail. 0: there are
	 * several, or unusual rules.
	 */
	uint32_t only_device;
	uint64_t digest;		/* of what others wrote; 0 where there is an only_device */
	LIST(struct ip_device) devices; /* where there is none */
};

/* Larger ones are not read, because a container can write what it likes. */
enum { MOST_IP_RULES = 256, MOST_PATHS = 8192 };

/* Rules and paths stand. */
void routing_finish(struct routing *r);

/* A packet of this namespace's own, without marks. src of family 0: the kernel chooses one. */
struct leaving {
	struct ip src, dst;
	uint8_t proto;
	uint16_t sport, dport; /* 0: unknown */
};

struct ip_outlet {
	const struct ip_route *path; /* NULL: no route */
	/* the rule that led there, or that refuses; NULL: none matches */
	const struct ip_rule *rule;
};

/* Looks up with n additional routes instead of our own. */
struct ip_outlet routing_find(const struct routing *r, const struct leaving *packet,
			      const struct ip_route *imagined, uint32_t n);
/* The device that has this address; 0: none. */
uint32_t routing_device_of(const struct routing *r, struct ip address);
/* What a route has that is added without one. */
uint32_t routing_usual_metric(const struct routing *r);
const char *routing_device_name(const struct routing *r, uint32_t index); /* "?": not known */
