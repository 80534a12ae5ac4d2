/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Docker's raw drops are lifted, one bridge for another, for exactly the networks that exchange
 * packets: as an option of the networks that are to be created. What a network that stands was not
 * told to trust is a finding, where nothing else lifts the drop. Pure.
 */
#pragma once

#include "core/compile/compile.h"
#include "core/compile/flows.h"

struct trusting {
	const struct config *config;
	const struct engine *engine;
	const struct facts *facts;
	const struct flows *flows;  /* the host's */
	const char *const *bridges; /* of each declared network */
};

/* The network that one end of a flow will be on. */
struct place {
	const char *network, *bridge; /* the engine's name of it; NULL: none */
	uint32_t index;		      /* of config->networks, or NONE */
};

typedef LIST(struct place) place_list;
/* Of all peers, each place once. */
place_list trusting_places(const struct trusting *in, struct arena *a, const struct peers *peers);

/* want->networks are those of the config, in its order. */
void compile_trust(struct state *want, struct findings *findings, struct arena *a,
		   const struct trusting *in);
