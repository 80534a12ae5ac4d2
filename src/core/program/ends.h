/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An end of a connection: some ports of a group of addresses, and the sources that may come there.
 * Sources that policies name as a list are a set of that name, which all ends share; sources
 * without a list are a set of the end's own. Pure.
 */
#pragma once

#include "core/program/parts.h"
#include "core/ruleset/sources.h"

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

void end_add(struct end *end, struct arena *a, const struct grant *grant);
/* How many rules say who may come. */
uint32_t end_n_rules(const struct builder *b, enum way way, const struct end *end);
/* These rules; each asks for the ports first. */
void end_rules(struct builder *b, enum way way, struct chain *chain, struct end *end);
/* A chain that has them without the ports, for a map or a rule that asked for these. */
struct verdict verdict_of_end(struct builder *b, enum way way, struct end *end);
/* A rule for its ports that leads there. */
void end_jump(struct builder *b, enum way way, struct chain *chain, const struct end *end,
	      struct verdict verdict);
