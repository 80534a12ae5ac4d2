/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names become addresses, from the file alone. Order: address or CIDR; exact container_name; exact
 * selector; exact service_name; network key or name (its subnet); "any" (but for a subject); last,
 * a prefix of a container_name or selector that ends at a boundary. All matches of the first kind
 * that has any.
 *
 * In this room:
 *     resolve.h  names
 *     idle.h     policies that change nothing, and those that contradict
 *     impl.h     what the parts of the look-ups share
 */
#pragma once

#include "core/config/config.h"
#include "core/config/place.h"

enum match {
	MATCH_NOTHING,
	MATCH_LITERAL, /* address or CIDR */
	MATCH_CONTAINER,
	MATCH_SELECTOR,
	MATCH_SERVICE,
	MATCH_NETWORK,
	MATCH_HOST, /* this host: a peer of no family */
	MATCH_ANY,
	MATCH_PREFIX,
	MATCH_LIST, /* all members of a list that are known */
};

struct peer {
	struct prefix
		net;	  /* of either family; "any" is 0.0.0.0/0, and ::/0 if has_ipv6;
			     family 0: this host, whatever its addresses (ASK_TARGETS, ASK_CLIENTS) */
	uint32_t address; /* index into config->addresses, or NONE */
	uint32_t network; /* the declared one that holds all of it, or NONE */
};

/* Of both families, in any order: an end of one family has no flows with an end of the other. */
struct peers {
	struct peer *items;
	uint32_t n;
	enum match match;
	bool has_host;	  /* one of them is this host */
	uint64_t hash;	  /* of the nets, in their order */
	uint32_t network; /* the declared one that holds all of them, or NONE */
};

/* As what a name is looked up: from of masquerade, and to beside nat; whom a policy is for; `name`;
 * to without nat; from, but of masquerade. */
enum question { ASK_PEERS, ASK_SUBJECT, ASK_CONTAINER, ASK_TARGETS, ASK_CLIENTS, N_QUESTIONS };

/*
 * What names mean. Many policies use the same few names, so this is stored by name, not by policy.
 */
struct resolution {
	const struct peers **peers[N_QUESTIONS]; /* by name; NULL where nobody asked */
	/*
	 * The container that a policy's `name` means: its container name as the file knows it, else
	 * `name` itself, to be looked up on the engine. By name; NULL where it is nobody's `name`.
	 */
	const char **containers;
	name_list shared; /* containers that are one of a translation's several targets, sorted */
};

/* A policy whose names are resolved. */
struct resolved {
	const struct peers *subject, *from, *to; /* never NULL */
	/* Whom its connections come from, and where they go in the end. Never NULL. */
	const struct peers *source, *target;
	const char *container; /* that `name` means, or NULL */
	const char *waiting; /* field whose name nothing in the file has; NULL: it waits for none */
	const char *missing; /* that name */
};

/* As what the policy's `from` is looked up. */
enum question question_of_source(const struct policy *p);
struct resolved resolved_policy(const struct resolution *resolution, const struct config *config,
				const struct policy *p);

/*
 * What resolves to nothing leaves its policy waiting, with a warning diagnostic; only what is an
 * address that can't be used, or a target that is no single one, is an error. Prefix matches are
 * notes; policies without effect (both ends in one network) and those that contradict are warnings;
 * those that others cover are found by core/resolve/idle.h. For a config that is resolvable;
 * policies that are broken are not looked at.
 */
void resolve(struct resolution *resolution, struct diags *diags, struct arena *a,
	     const struct config *config, struct config_text *text);

/* The last part of it: warnings about what resolved. */
void resolve_check(const struct resolution *resolution, struct diags *diags, struct arena *a,
		   const struct config *config, struct config_text *text);

/* What somebody types, looked up as a policy's `from`. Never NULL. */
const struct peers *resolve_peers(struct arena *a, const struct config *config, const char *text);

/* The rule of the last kind: query is a prefix of name that ends at a boundary. */
bool name_has_prefix(const char *name, const char *query);
bool same_peers(const struct peers *a, const struct peers *b);
bool peers_hold(const struct peers *peers, struct ip ip);
