/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An end of a connection: some ports of a group of addresses, and the sources that may come there.
 * Sources that policies name as a list are a set of that name, which all ends share; sources
 * without a list are a set of the end's own. Pure.
 */
#pragma once

#include "base/hash_index.h"
#include "core/ruleset/impl.h"

/* A prefix that may be a source, and the policy that says so. */
struct source {
	struct prefix net;
	uint32_t origin;
	bool silent; /* it does not count here */
};
typedef LIST(struct source) source_list;

/* In the order in which they are asked. */
enum ports_kind { ONE_PORT, PORT_RANGES, EVERY_PORT, EVERY_PROTOCOL };

struct ports {
	enum ports_kind kind;
	uint8_t proto;
	LIST(struct port_range) ranges; /* disjoint and sorted */
};

struct end {
	struct ports ports;
	const char *name;		    /* for sets and chains that must be made */
	source_list few;		    /* sources without a list */
	LIST(const struct grant *) lists;   /* grants whose source is a list */
	LIST(const struct grant *) anybody; /* grants for every source */
	LIST(const struct grant *) bound;   /* grants for one interface, whatever their source */
};

/* A set that stands, and for each way the chain that asks it alone, once there is one. */
struct source_set {
	const struct peers *peers;  /* of a list … */
	const source_list *sources; /* … or of an end */
	bool counts;
	uint64_t hash;
	const char *name, *chains[N_WAYS];
};

/* What was made so far. */
struct ends {
	struct builder *b;
	enum way way; /* that is being made */
	LIST(struct source_set) sets;
	LIST(const char *) names; /* of sets and chains */
	struct hash_index sets_by_hash, by_name;
};

/* prefix and text as one word of nft: "to_shop", "to_shop_2" where there is one already. */
const char *new_name(struct ends *e, const char *prefix, const char *text);
/* Policies count what they let through, on this way. */
bool ends_count(const struct ends *e);
void end_add(struct end *end, struct arena *a, const struct grant *grant);
/* How many rules say who may come. */
uint32_t end_n_rules(const struct ends *e, const struct end *end);
/* These rules; each asks for the ports first. */
void end_rules(struct ends *e, struct chain *chain, struct end *end);
/* A chain that has them without the ports, for a map or a rule that asked for these. */
struct verdict verdict_of_end(struct ends *e, struct end *end);
/* A rule for its ports that leads there. */
void end_jump(struct ends *e, struct chain *chain, const struct end *end, struct verdict verdict);
