/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that the kernel reports by nfnetlink_log: read, put together, and given their
 * policies. Pure.
 *
 * In this room:
 *     logged.h   one packet, as the kernel reports it; its policy
 *     journal.h  which connections are said, and when
 *     audit.h    what egress deny and isolation strict would stop, counted
 *     frames.h   what begins a connection, of frames that no connection tracking sees
 *     advice.h   … and the policies that would allow it
 */
#pragma once

#include "core/resolve/resolve.h"

#include <linux/netlink.h>

/* Why it is reported: the prefix of the rule that found it (LOG_ALLOWED, … in ruleset.h). */
enum logged_why {
	LOGGED_ALLOWED,	    /* a policy admits it */
	LOGGED_TRANSLATED,  /* a translation of the host leads it on: its target is what dst says */
	LOGGED_DROPPED,	    /* no policy admits it */
	LOGGED_AUDIT_ASKED, /* an audited network asks this host, before translations */
	/* Egress deny would stop it: */
	LOGGED_AUDIT,	       /* what is forwarded */
	LOGGED_AUDIT_DNAT,     /* … and was translated: to where dst and port say */
	LOGGED_AUDIT_HOST,     /* what is for this host */
	LOGGED_AUDIT_BORROWED, /* no policy would let its source out, or in */
	/* Isolation strict would stop it: */
	LOGGED_AUDIT_INTO,    /* what is forwarded, with the target as translated */
	LOGGED_AUDIT_BY_HOST, /* what this host begins, with "host": false */
	LOGGED_AUDIT_SERVED,  /* what asks a program of this host for a published port */
	LOGGED_AUDIT_FRAME,   /* a TCP connection from port to port of a bridge */
	LOGGED_AUDIT_SAMPLE,  /* other frames there, replies among them (frames.h) */
	N_LOGGED,
};

struct logged {
	enum logged_why why;
	struct ip src, dst;
	uint8_t proto;
	uint16_t sport;
	uint16_t port; /* destination; 0: the protocol has none, or a fragment does not say it */
	uint32_t in;   /* index of the interface by which it came; 0: none */
};

/*
 * Reads a message whose length was checked. Its packet is somebody else's bytes, cut off behind
 * LOG_SNAPLEN. False: it is no report of ours, or no packet of IP.
 */
bool logged_decode(struct logged *logged, const struct nlmsghdr *message);

/*
 * The first policy that is logged and lets this through, or NONE: the file has changed since.
 * iface: name of logged->in, or NULL.
 */
uint32_t logged_policy(const struct config *config, const struct resolution *resolution,
		       const struct logged *logged, const char *iface);
/* What people call an address: its container's name, or the address itself. */
const char *logged_name(struct arena *a, const struct config *config, struct ip ip);
/* "tcp"; the number of one that policies do not know. */
const char *logged_protocol(struct arena *a, const struct logged *l);
/* The policy is about this protocol, among others. */
bool policy_has_proto(const struct policy *policy, uint8_t proto);
/* And about this port, as the target sees it; true where the protocol has none. */
bool policy_has_port(const struct config *config, const struct policy *policy, uint8_t proto,
		     uint16_t port);
