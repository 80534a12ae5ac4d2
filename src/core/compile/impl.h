/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the compiler share: policies.c and translations.c (flows), compile.c (the
 * whole).
 */
#pragma once

#include "core/compile/compile.h"
#include "core/compile/nodes.h"
#include "core/compile/routes.h"
#include "core/flows/flows.h"

/* An end with both families, divided by family. */
struct parts {
	const struct peers *whole, *of[N_FAMILIES];
};

struct compiler {
	struct arena *a;
	const struct config *config;
	const struct resolution *resolution;
	const struct engine *engine;
	const struct facts *facts;
	struct nodes nodes;
	struct flows *host;
	struct flows *of_node; /* one per node */
	struct routes routes;
	struct findings *findings;
	LIST(struct traffic) matches; /* of the policy at hand: every (protocol, port range) */
	/* of the translation at hand: what it takes, and the port at the target (0: the same) */
	LIST(struct taken {
		struct traffic match;
		uint16_t to_port;
	})
	taken;
	LIST(struct parts) parts; /* of ends that have both families */
	struct hash_index parts_by_whole;
	LIST(struct node *) places; /* of the translation at hand: NULL is the host */
	uint32_t *placed;	    /* by node: the policy + 1 that was last placed there */
	const char **bridges; /* of each declared network, as it is or will be; NULL: it has none */
	const char **beside;  /* its driver, if its packets do not pass this host; else NULL */
	bool *apart;	      /* its containers do not reach each other */
	LIST(struct prefix) allowed_sources; /* sources that no declared network holds */
	struct hash_set known_sources;
};

#define policy_finding(c, kind, i, ...)                                                            \
	finding_of_policy((c)->findings, (c)->a, kind, i, __VA_ARGS__)

/* It was a container earlier, and the engine does not have it now. */
bool was_container(const struct compiler *c, const char *name);
/* --- networks.c --- */

/* Finds their bridges; what differs from the file is told. Before policies. */
void compile_networks(struct compiler *c);
/* What our rules close, and the addresses that are at home on each bridge. After policies. */
void compile_boundaries(struct compiler *c);

/* --- policies.c --- */

/* Every policy's flows, each in the namespace where its rules live. */
void compile_policies(struct compiler *c);

/* The two ends of a policy, and the numbers of the names that it calls them by. */
struct ends_of_policy {
	const struct peers *from, *to;
	uint32_t from_name, to_name;
};

/* The peers of one family. */
const struct peers *of_family(struct compiler *c, const struct peers *peers, uint8_t family);
/* As rules call an end, and its part of one family. */
const char *name_of_list(const struct compiler *c, uint32_t name);
const char *name_of_part(struct compiler *c, const char *name, const struct peers *whole,
			 const struct peers *part);
/* The ports as the target sees them. */
struct traffic translated(struct traffic match, uint16_t to_port);
void grant(struct compiler *c, struct grant grant);
/* From one end to the other, by the matches of the policy at hand. */
void grant_policy(struct compiler *c, uint32_t i, struct ends_of_policy ends);

/* --- translations.c --- */

void compile_nat(struct compiler *c, uint32_t i, const struct resolved *r);

/* --- ways.c: namespaces whose own routes and rules lead elsewhere --- */

/* Replies from the container to this peer (length 0: to anybody) are routed to the host. */
bool answers_come_back(const struct node *node, struct ip own, struct prefix peer);
/*
 * Reports policies whose packets leave by another interface, although the wanted routes are there.
 */
void compile_ways(struct compiler *c, const struct node *node, const struct space *space);

/* The container that an address of the file belongs to; NULL: none. */
static inline struct node *node_of_address(const struct compiler *c, uint32_t address)
{
	uint32_t node = address == NONE ? NONE : c->nodes.of_address[address].node;

	return node == NONE ? NULL : &c->nodes.list.items[node];
}
