/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What path.c and others.c share: the walk, and the hops that it writes down. */
#pragma once

#include "core/path/path.h"

struct walker {
	struct arena *a;
	const struct reach *reach;
	const struct facts *facts;
	const struct observed *seen;
	struct reach_path *path;
	struct reach_flow now;
	int n_ways;
};

/* Adds a hop; the rest of the arguments are its text. */
PRINTF_LIKE(6, 7)
void hop(struct walker *w, enum hop_kind kind, const char *container, const char *stage,
	 uint32_t policy, const char *format, ...);
/* Most are on the host, and no policy decides. */
#define goes_on(w, stage, ...) hop((w), HOP_GOES_ON, NULL, (stage), NONE, __VA_ARGS__)
#define arrives(w, stage, ...) hop((w), HOP_ARRIVES, NULL, (stage), NONE, __VA_ARGS__)
#define stops(w, stage, ...)   hop((w), HOP_STOPS, NULL, (stage), NONE, __VA_ARGS__)

const char *interface_name(const struct walker *w);
const char *network_name(const struct walker *w, uint32_t network);

/* The file's network that it comes from, that it goes to; or NONE. */
static inline uint32_t network_from(const struct walker *w)
{
	return reach_network_of(w->reach, w->now.src);
}

static inline uint32_t network_to(const struct walker *w)
{
	return reach_network_of(w->reach, w->now.dst);
}

/* --- others.c: what Docker, and other people's rules, do with it --- */

/* What Docker does with packets of one family. */
struct docker_filter {
	bool user;  /* DOCKER-USER is asked first */
	bool drops; /* its isolation and drops stand */
	bool raw;   /* it drops in raw PREROUTING */
};
struct docker_filter docker_filter(const struct walker *w);
/* A chain of iptables, or of ip6tables. */
const char *iptables_stage(const struct walker *w, const char *stage);
/* Docker's chains, for this version and variant. */
const char *docker_stage(const struct walker *w);
/* Docker drops it there. */
bool drops_in_raw(const struct walker *w);
void dropped_by_docker(struct walker *w);
/* Our accept in Docker's chains; for flows from outside it follows other people's rules. */
void handed_over(struct walker *w);
/* Rules of others that our accept does not override. False: the flow ends there. */
bool past_walls(struct walker *w, bool dnat);
