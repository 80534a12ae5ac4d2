/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of addresses that more than one rule asks. A list that policies name stands once, whoever
 * names it. Pure.
 */
#pragma once

#include "core/ruleset/builder.h"

/* A prefix that may be a source, and the policy that says so. */
struct source {
	struct prefix net;
	uint32_t origin;
	bool silent; /* it does not count here */
};
typedef LIST(struct source) source_list;

/* A set that stands. */
struct source_set {
	const struct peers *peers;  /* of a list … */
	const source_list *sources; /* … or of these */
	bool counts;
	uint64_t hash;
	const char *name;
	uint8_t chains; /* for whoever made it: which chains ask it alone */
};

/* prefix and text as one word of nft: "to_shop", "to_shop_2" where there is one already. */
const char *new_name(struct builder *b, const char *prefix, const char *text);

/* The set of a list; prefix and name: of a new one. Valid until the next set is made. */
struct source_set *list_set(struct builder *b, const struct peers *peers, const char *prefix,
			    const char *name);
const char *set_of_list(struct builder *b, const struct peers *peers, const char *prefix,
			const char *name);
/* The set of some sources, which are sorted; name: of a new one. */
const char *set_of_sources(struct builder *b, const source_list *sources, const char *name,
			   bool counts);

/* One rule for each of a few, one for a list, one for anybody (NULL): how many; and of rule i the
 * end. */
uint32_t n_end_rules(const struct peers *peers);
void term_end(struct builder *b, struct rule *rule, enum term_kind term, enum load load,
	      const struct peers *peers, uint32_t i, const char *prefix, const char *name);
