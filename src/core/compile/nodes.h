/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers as they will be once the declared connections stand: the engine's view with the file's
 * on top. The compiler asks these, never the engine, so that one plan shows everything. Pure.
 */
#pragma once

#include "core/engine/engine.h"
#include "core/resolve/resolve.h"
#include "core/state/routing.h"

/* Of one family on one network. */
struct endpoint {
	const char *network;  /* Docker's name */
	struct prefix subnet; /* canonical */
	struct ip ip;	      /* family 0: dynamic and not running, unknown */
	struct ip gateway;    /* family 0: none that is this host */
	bool internal;	      /* its network gives no default route, or none to this host */
	bool declared;	      /* the file says so */
};

struct node {
	const char *name;
	const struct engine_container *container;  /* NULL: not on the engine (yet) */
	bool shares_namespace;			   /* network mode host or container:X */
	const struct routing *routing[N_FAMILIES]; /* NULL: nothing unusual is known of it */
	LIST(struct endpoint) endpoints;
};

struct node_ip {
	struct ip ip;
	uint32_t node;
};

/* Of an address of the file. */
struct home {
	uint32_t node;	   /* index; NONE: nobody's */
	uint32_t network;  /* the declared one that holds it, or NONE */
	bool has_endpoint; /* the node has an endpoint there */
};

struct nodes {
	LIST(struct node) list; /* sorted by name */
	struct hash_index by_name;
	struct home *of_address; /* by index of the file's address */
	struct node_ip *by_ip;	 /* sorted */
	uint32_t n_by_ip;
};

/* The interface of a declared network, as it is or as it will be; NULL: it has no bridge. */
const char *network_bridge(const struct network *network, const struct engine *engine);
/*
 * Where the engine is not known, what a policy calls a container is one. routings: of each
 * container of the engine, or NULL.
 */
void nodes_build(struct nodes *nodes, struct arena *a, const struct config *config,
		 const struct resolution *resolution, const struct engine *engine,
		 const struct routing *const (*routings)[N_FAMILIES]);
/* Routes and rules of the container's own; NULL: it has none that matter. */
const struct routing *node_routing(const struct node *node, uint8_t family);
struct node *nodes_find(const struct nodes *nodes, const char *name);
/* Position in by_ip of the first address that does not come before this one. */
uint32_t nodes_first_ip(const struct nodes *nodes, struct ip ip);
/* The node that holds an address, NULL if none does. */
struct node *nodes_find_ip(const struct nodes *nodes, struct ip ip);
bool node_is_running(const struct node *node);
/* Docker gives it a default route of this family: it sits on a network that is not internal. */
bool node_has_default_route(const struct node *node, uint8_t family);
/* The endpoint whose subnet holds the address, NULL if it has none there. */
const struct endpoint *node_endpoint_in(const struct node *node, struct ip ip);
