/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the containers of networks with egress audit begin, and egress deny would stop; and what
 * gets into networks with isolation audit, and strict would stop: counted by source, target,
 * protocol and port. Bounded for each container that is audited, so that who asks for every port of
 * everybody, or is asked by everybody, takes no room from others. They are the file's: its
 * containers, and for each of its subnets one for all addresses that bear no name. Pure: the time
 * is an argument.
 */
#pragma once

#include "base/buf.h"
#include "base/hash_index.h"
#include "core/logged/frames.h"
#include "core/logged/logged.h"

#include <time.h>

enum {
	AUDIT_FLOWS = 64, /* of a source */
	AUDIT_FLOWS_INTO = 256,
	AUDIT_OF_PEER = 32,  /* of these, so that who scans ports hides nobody else */
	AUDIT_ADDRESSES = 8, /* of one port of the outside; more are counted together */
	AUDIT_ASKED = 256,   /* connections of which is known what they asked this host for */
};

/* The other end of what is audited: who is asked, or of an entry that is `into`, who asks. */
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
	uint16_t port; /* of who is asked; 0: the protocol has none */
	uint64_t count;
	time_t first, last;
};

struct audit_source {
	/*
	 * A container's; of those without a name the first one of their subnet. Family 0, into:
	 * this host, where it serves ports that are published.
	 */
	struct ip ip;
	bool into; /* it is asked: isolation audit */
	LIST(struct audit_flow) flows;
	uint64_t left_out; /* connections of flows that have no room */
};

/* A network that is audited: since when, and when something new was last found. */
struct audit_network {
	const char *key;
	bool into;	    /* its isolation is, else its egress */
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
	uint32_t n_asked;      /* ever: the oldest make room */
	struct frames *frames; /* NULL: there were none yet */
	uint64_t borrowed;     /* connections whose source is not at home where they come from */
	bool incomplete;       /* the kernel has thrown reports away */
	bool changed;	       /* since it was saved */
	uint64_t digest;       /* of the file that it was last compared with */
};

void audit_note(struct audit *audit, const struct config *config,
		const struct resolution *resolution, const struct logged *logged, time_t now);
/*
 * After a change of the file: forgets what is not audited any more, what a policy allows now, and
 * all that is only a number. Networks that are audited from now on begin.
 */
void audit_follow(struct audit *audit, const struct config *config,
		  const struct resolution *resolution, time_t now);
/* A policy of the file is for it. */
bool audit_allowed(const struct config *config, const struct resolution *resolution,
		   const struct audit_source *source, const struct audit_flow *flow);
/* Nothing would be refused. */
bool audit_is_empty(const struct audit *audit);
/* Egress deny would refuse something; into: isolation strict would. */
bool audit_refuses(const struct audit *audit, bool into);
void audit_release(struct audit *audit);

/* The entry of a source; it is made where there is none. */
struct audit_source *audit_source_at(struct audit *audit, struct ip ip, bool into);
/* Adds to what was counted of such a flow. True: there was none. */
bool audit_count(struct audit *audit, struct audit_source *source, const struct audit_flow *flow);

/* As text that outlives the process. False: it is not such a text; what was read of it stays. */
void audit_save(struct buf *out, const struct audit *audit);
bool audit_load(struct audit *audit, const char *text);
