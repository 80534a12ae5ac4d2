/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Docker's raw drops are lifted between networks that exchange packets, bridge by bridge: with an
 * option of the networks that are to be created. Pure.
 */
#pragma once

#include "core/flows/flows.h"
#include "core/state/facts.h"
#include "core/state/state.h"

/* The option's value: the interfaces that the network trusts, "a:b". */
#define TRUSTED "com.docker.network.bridge.trusted_host_interfaces"

struct trusting {
	const struct config *config;
	const struct engine *engine;
	const struct facts *facts;
	const struct flows *flows;  /* the host's */
	const char *const *bridges; /* of each declared network */
};

/* Where one end of a flow will be. */
struct place {
	const char *network, *bridge; /* the engine's name of the network; NULL: on none */
	const char *entrance; /* the interface by which its packets arrive: the bridge, or one of
				 the host's; NULL: unknown */
	bool named;	      /* a policy names the entrance: nothing comes in by another one */
	uint32_t index;	      /* of config->networks, or NONE */
	struct prefix net;    /* the end itself, or one of many there */
	const struct engine_network
		*engine; /* the network as it stands, where Docker >= 29 closes it; or NULL */
};

typedef LIST(struct place) place_list;
/* network: the declared one that holds it, or NONE. */
struct place trusting_place(const struct trusting *in, struct prefix net, uint32_t network);
/* The places of all peers, without duplicates. */
place_list trusting_places(const struct trusting *in, struct arena *a, const struct peers *peers);
/* Of a grant's sources; from outside they come in by the interface that the policy names. */
place_list trusting_sources(const struct trusting *in, struct arena *a, const struct grant *grant);
/* It arrives by its own bridge. */
bool trusting_stays_within(struct place a, struct place b);

struct place_pair {
	struct place one, other;
};

/* For every network the interfaces by which wanted flows arrive: see trusting_slot. */
struct entrances {
	name_list *bridges; /* bridges of other networks */
	name_list *outside; /* interfaces of the host, for sources that are on no network */
	LIST(struct place_pair) pairs; /* that exchange packets, each once */
};
/* The declared networks, then those of the engine, each in its order. */
uint32_t trusting_slot(const struct trusting *in, struct place place);

/* want->networks are those of the config, in its order. All-zero: the engine has no such option. */
struct entrances compile_trust(struct state *want, struct arena *a, const struct trusting *in);
