/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of this room share: names.c (look-ups), resolve.c (policies). */
#pragma once

#include "core/resolve/resolve.h"

/* A name, and the address or network that bears it. */
struct entry {
	const char *name;
	uint32_t index;
};

typedef LIST(struct entry) entry_list;

/* The fields of an address that bear a name. */
enum kind { KIND_CONTAINER, KIND_SELECTOR, KIND_SERVICE, N_KINDS };

/* Addresses as numbers that begin with 1; 0: there is none, or none more. */
struct index {
	uint32_t *first[N_KINDS]; /* by name: the first that bears it */
	uint32_t *next[N_KINDS];  /* by address: the next of that name */
	entry_list networks;	  /* by their names, sorted */
	entry_list prefixes;	  /* container names and selectors, sorted */
	bool has_prefixes;	  /* somebody asked for them */
};

struct resolver {
	struct arena *a, *scratch;
	struct diags *diags;
	const struct config *config;
	struct config_text *text;
	struct index index;
	uint32_t *seen, stamp; /* addresses that the answer being made has already: == stamp */
	struct resolution *answers;
	bool *noted[N_QUESTIONS]; /* of each name: that it is a prefix match */
};

/* Before the first look-up. */
void names_index(struct resolver *r);
/* All matches of the first kind that has any; members of a list are looked up one by one. */
struct peers *names_find(struct resolver *r, uint32_t name, const char *query,
			 enum question question);
