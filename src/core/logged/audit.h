/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the containers of networks with egress audit begin, and egress deny would stop: counted by
 * source, target, protocol and port. Bounded for each source, so that who asks for every port of
 * everybody takes no room from others. The sources are the file's: its containers, and for each of
 * its subnets one for all addresses that bear no name. Pure: the time is an argument.
 */
#pragma once

#include "base/buf.h"
#include "base/hash_index.h"
#include "core/logged/logged.h"

#include <time.h>

enum {
	AUDIT_FLOWS = 64,    /* of a source */
	AUDIT_ADDRESSES = 8, /* of one port of the outside; more are counted together */
	AUDIT_ASKED = 256,   /* connections of which is known what they asked this host for */
};

enum audit_target {
	AUDIT_NETWORK, /* an address of a network of the file */
	AUDIT_HOST,    /* whichever of this host's addresses: dst has no family */
	AUDIT_OUTSIDE, /* another address */
	AUDIT_ANY,     /* many of these: dst has no family */
	N_AUDIT_TARGETS,
};

struct audit_flow {
	enum audit_target target;
	struct ip dst;
	uint8_t proto;
	uint16_t port; /* 0: the protocol has none */
	uint64_t count;
	time_t first, last;
};

struct audit_source {
	struct ip ip; /* a container's; of those without a name the first one of their subnet */
	LIST(struct audit_flow) flows;
	uint64_t left_out; /* connections of flows that have no room */
};

/* A network that is audited: since when, and when something new was last found. */
struct audit_network {
	const char *key;
	time_t since, last; /* last 0: nothing was */
};

/*
 * A connection that asked this host for a port, and may be translated and reported again behind
 * that: a policy names the port that was asked for.
 */
struct audit_asked {
	struct ip src;
	uint8_t proto;
	uint16_t sport, port;
};

struct audit {
	struct arena a;
	LIST(struct audit_source) sources;
	struct hash_index by_ip;
	LIST(struct audit_network) networks;
	struct audit_asked asked[AUDIT_ASKED];
	uint32_t n_asked;  /* ever: the oldest make room */
	uint64_t borrowed; /* connections whose source is not at home where they come from */
	bool incomplete;   /* the kernel has thrown reports away */
	bool changed;	   /* since it was saved */
	uint64_t digest;   /* of the file that it was last compared with */
};

void audit_note(struct audit *audit, const struct config *config, const struct logged *logged,
		time_t now);
/*
 * After a change of the file: forgets what is not audited any more, what a policy allows now, and
 * all that is only a number. Networks that are audited from now on begin.
 */
void audit_follow(struct audit *audit, const struct config *config,
		  const struct resolution *resolution, time_t now);
/* Nothing would be refused. */
bool audit_is_empty(const struct audit *audit);
void audit_release(struct audit *audit);

/* As text that outlives the process. False: it is not such a text; what was read of it stays. */
void audit_save(struct buf *out, const struct audit *audit);
bool audit_load(struct audit *audit, const char *text);
