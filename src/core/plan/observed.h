/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The actual state, as app/observe/observe.h reads it and plan_diff compares it. */
#pragma once

#include "core/engine/engine.h"
#include "core/state/facts.h"
#include "core/state/state.h"

/* An interface that policies name, and whether it exists. */
struct named_interface {
	const char *container, *name; /* container NULL: on the host */
	bool there;
};

/* A connection that the engine refused; the container is connected as before. */
struct refusal {
	const char *container_id, *network, *why;
	struct ip ip, ip6; /* that were asked for */
	int64_t until_ms;
};

struct observed {
	const struct engine *engine;
	const struct facts *facts;
	struct state
		have; /* spaces[0] is the host; attachments and networks come from the engine */
	LIST(struct host_prefix) host_prefixes;
	const char *default_device;  /* of the host's default route, or NULL */
	const char *default_device6; /* the same of IPv6, where the file has it */
	LIST(struct named_interface) interfaces;
	LIST(struct kept_endpoint) kept; /* removed earlier and not created again yet */
	LIST(struct kept_network) kept_networks;
	LIST(struct refusal) refusals;
};
