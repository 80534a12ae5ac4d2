/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a packet leaves a namespace, by its own routes and rules: what the kernel's look-up does
 * with them (fib_rules_lookup, fib_table_lookup; ip-rule(8), ip-route(8)). Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"

enum { TABLE_MAIN = 254, TABLE_LOCAL = 255 };

enum ip_rule_action { RULE_TABLE, RULE_GOTO, RULE_NOTHING, RULE_REFUSES };

struct ip_rule {
	uint32_t priority;
	enum ip_rule_action action;
	uint32_t table;		/* of RULE_TABLE; the priority to go on at of RULE_GOTO */
	struct prefix src, dst; /* family 0: any */
	uint32_t mark, mask;
	uint8_t proto; /* 0: any */
	uint16_t sport_low, sport_high, dport_low, dport_high;
	int16_t suppresses; /* answers with a prefix of this length or shorter; -1: none */
	bool inverted;
	bool elsewhere; /* it asks for what our packets never are: another interface, a user, … */
};

enum path_type { PATH_LEAVES, PATH_LOCAL, PATH_REFUSES, PATH_THROWS };

/* A route, whoever wrote it. */
struct ip_route {
	struct prefix dst; /* of family 4, of any length */
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
	LIST(struct ip_rule) rules; /* in their order */
	LIST(struct ip_route) paths;
	/*
	 * All that is not local leaves by this device, whatever it is: nobody need look further. 0:
	 * there are several, or other rules than every namespace has.
	 */
	uint32_t only_device;
	uint64_t digest;		/* of what others wrote; 0 where there is an only_device */
	LIST(struct ip_device) devices; /* where there is none */
};

/* Larger ones are not looked at: a container is free to write what it likes. */
enum { MOST_IP_RULES = 256, MOST_PATHS = 8192 };

/* Rules and paths stand. */
void routing_finish(struct routing *r);

/* Of this namespace's own, without marks. src of family 0: the kernel is to choose one. */
struct leaving {
	struct ip src, dst;
	uint8_t proto;
	uint16_t sport, dport; /* 0: not known */
};

struct ip_outlet {
	const struct ip_route *path; /* NULL: there is none */
	const struct ip_rule *rule;  /* that led to it, or refuses; NULL: none answers */
};

/* Without our own routes, but with n that are thought of. */
struct ip_outlet routing_find(const struct routing *r, const struct leaving *packet,
			      const struct ip_route *imagined, uint32_t n);
/* The device that has this address; 0: none. */
uint32_t routing_device_of(const struct routing *r, struct ip address);
const char *routing_device_name(const struct routing *r, uint32_t index); /* "?": not known */
