/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names become addresses, from the file alone. Order: address or CIDR; exact container_name; exact
 * selector; exact service_name; network key or name (its subnet); "any"; last, a prefix of a
 * container_name or selector that ends at a boundary. All matches of the first kind that has any.
 */
#pragma once

#include "core/config.h"

enum match {
	MATCH_NOTHING,
	MATCH_LITERAL, /* address or CIDR */
	MATCH_CONTAINER,
	MATCH_SELECTOR,
	MATCH_SERVICE,
	MATCH_NETWORK,
	MATCH_ANY,
	MATCH_PREFIX,
};

struct peer {
	struct prefix net; /* "any" is 0.0.0.0/0 */
	uint32_t address;  /* index into config->addresses, or NONE */
};

struct peers {
	struct peer *items;
	uint32_t n;
	enum match match;
	uint64_t hash; /* of the nets, in their order */
};

/* One per policy, same index. */
struct resolved {
	const struct peers *subject, *from, *to; /* never NULL */
	/*
	 * The container that `name` means: its container name as the file knows it, else `name`
	 * itself, to be looked up on the engine. NULL where the policy has no name.
	 */
	const char *container;
	const char *waiting; /* why the policy waits ("from: no address is named x"), or NULL */
};

struct resolution {
	struct resolved *policies;
	uint32_t n; /* = config->policies.n */
};

/*
 * Never fails: what resolves to nothing leaves its policy waiting, with a warning diagnostic.
 * Prefix matches are notes; shadowed and duplicate policies, and policies without effect (both
 * ends in one network), are warnings.
 */
void resolve(struct resolution *resolution, struct diags *diags, struct arena *a,
	     const struct config *config);

/* The last part of it: warnings about what resolved. */
void resolve_check(const struct resolution *resolution, struct diags *diags, struct arena *a,
		   const struct config *config);

/* The rule of the last kind: query is a prefix of name that ends at a boundary. */
bool name_has_prefix(const char *name, const char *query);
