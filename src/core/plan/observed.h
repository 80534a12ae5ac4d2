/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands on a host, as app/pass/observe.h reads it and plan_diff takes it. */
#pragma once

#include "core/compile/facts.h"
#include "core/compile/state.h"
#include "core/engine/engine.h"

/* An interface that policies name, and whether it is there. */
struct named_interface {
	const char *container, *name; /* container NULL: on the host */
	bool there;
};

/* A connection that the engine refused: the container is connected as it was before. */
struct refusal {
	const char *container_id, *network, *why;
	struct ip ip; /* that was asked for */
	int64_t until_ms;
};

struct observed {
	const struct engine *engine;
	const struct facts *facts;
	struct state
		have; /* spaces[0] is the host; attachments and networks come from the engine */
	LIST(struct host_prefix) host_prefixes;
	const char *default_device; /* of the host's default route, or NULL */
	LIST(struct named_interface) interfaces;
	LIST(struct kept_endpoint) kept; /* taken away before, and not made again yet */
	LIST(struct kept_network) kept_networks;
	LIST(struct refusal) refusals;
};
