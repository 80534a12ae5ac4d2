/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the comparison share: networks.c, connections.c, spaces.c (namespaces), plan.c
 * (everything). Look-ups use indexes that are built once, because thousands of containers are
 * compared with thousands of addresses.
 */
#pragma once

#include "core/config/place.h"
#include "core/plan/plan.h"

typedef LIST(uint32_t) index_list;

/* A container of the engine, by its index there. */
struct differ_container {
	index_list attachments; /* wanted connections: indexes into want->attachments */
	index_list leaving;	/* steps that disconnect it */
};

struct differ {
	struct plan *plan;
	struct arena *a;
	const struct state *want;
	const struct observed *seen;
	const struct config *config;
	struct differ_container *containers;
	const struct engine_container **holders; /* of attachment i; NULL: not on the engine */
	struct used_ip *used_ips;		 /* addresses that containers have, sorted */
	uint32_t n_used_ips;
	uint32_t *network_step; /* step that creates network i of want; NONE, or CONFLICT */
	uint8_t *stands; /* families of network i that are, or will be, as the file says; bits */
	uint32_t *attachment_step;	       /* step that makes attachment i, or NONE */
	bool *connects;			       /* attachment i is to be made */
	const struct engine_network *replaced; /* it is re-created; NULL: none is */
};

#define CONFLICT (NONE - 1)

struct step *differ_step(struct differ *d, enum step_kind kind, char sign, const char *object);
uint32_t differ_step_index(const struct differ *d, const struct step *step);
/* The declaration that a finding is about: networks["web"]. */
const char *differ_path(struct differ *d, const char *kind, const char *key);
/* The declared network of this name; NULL: there is none. */
const struct network *differ_network(const struct differ *d, const char *name);
/* Adds steps; what they depend on is set later. */
struct step *differ_create(struct differ *d, const struct network *n);
struct step *differ_remove(struct differ *d, const struct engine_network *e, const char *why);
struct step *differ_disconnect(struct differ *d, const struct engine_container *c,
			       const char *network, const char *why);
struct step *differ_connect(struct differ *d, const struct engine_container *c, const char *network,
			    struct ip ip, struct ip ip6, const char *why);
/* The address, if whoever asked for it can have it in such a network beside the declared ones. */
struct ip differ_keeps(const struct differ *d, const struct ipam *ipam, struct ip ip);
/* What a container loses there when it is reconnected: "; …" for each thing, or "". */
const char *differ_losses(struct differ *d, const struct engine_container *c, const char *network);
/* The wanted connection of the container to that network; NONE: the file has none. */
uint32_t differ_attachment(const struct differ *d, const struct engine_container *c,
			   const char *network);
/* A planned step that disconnects this container and so frees its address; NONE: none. */
uint32_t differ_leaving_step(const struct differ *d, const struct engine_container *c,
			     const char *network);
/* The plan's entry for a container of the engine. */
static inline struct differ_container *differ_container(const struct differ *d,
							const struct engine_container *c)
{
	return &d->containers[c - d->seen->engine->containers.items];
}

#define conflict(d, subject, ...)                                                                  \
	finding_add(&(d)->plan->findings, (d)->a, FINDING_CONFLICT, NONE, subject, __VA_ARGS__)
#define waiting(d, subject, ...)                                                                   \
	finding_add(&(d)->plan->findings, (d)->a, FINDING_WAITING, NONE, subject, __VA_ARGS__)
#define warning(d, subject, ...)                                                                   \
	finding_add(&(d)->plan->findings, (d)->a, FINDING_WARNING, NONE, subject, __VA_ARGS__)
#define note(d, subject, ...)                                                                      \
	finding_add(&(d)->plan->findings, (d)->a, FINDING_NOTE, NONE, subject, __VA_ARGS__)

/* The addresses are in use or routed elsewhere; except: a network that is about to be replaced. */
bool subnet_is_taken(struct differ *d, const struct network *n,
		     const struct engine_network *except);
/* Why the engine can not create it, or not without harm to the host; NULL: it may. */
const char *network_why_not(const struct differ *d, const struct network *n);
/* For a network that differs from the file, and is to be re-created. */
bool replacement_is_due(struct differ *d, const struct network *n, const struct engine_network *e);
/* For a network that is as the file says, or (e NULL) missing: --replace gets an answer. */
void replacement_is_needless(struct differ *d, const struct network *n,
			     const struct engine_network *e);
/* Adds the steps; returns the index of the one that creates the network. */
uint32_t diff_replacement(struct differ *d, const struct network *n,
			  const struct engine_network *e);
void diff_networks(struct differ *d);
void diff_kept_networks(struct differ *d);
void diff_attachments(struct differ *d);
void diff_returns(struct differ *d);
void diff_left_networks(struct differ *d);
void diff_spaces(struct differ *d);
void diff_ports(struct differ *d);
/* Finds other people's rules that stop the flows of a namespace. */
void diff_walls(struct differ *d, const struct space *want, const struct space *have);
