/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/counts.h"

#include "app/world/known.h"
#include "base/log.h"
#include "core/compile/compile.h"
#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 3 }; /* others may change the rules during the reading */

static bool is_counted(const struct state *want)
{
	const struct space *host = &want->spaces.items[0];

	return host->flows->counted || host->chains.n;
}

static bool read_spaces(struct tally *tally, const struct world *w, const struct state *want,
			struct error *err)
{
	list_each (space, &want->spaces) {
		const struct ns *ns =
			space->container ? known_namespace(w, space->container) : &w->host;

		tally->host = !space->container;
		if (ns &&
		    ((space->ruleset.exists && !fw_nft_tally(tally, ns, &space->ruleset, err)) ||
		     !iptables_tally(tally, ns, &space->chains, err)))
			return false;
	}
	return true;
}

static void read_wanted(struct counts *c, const struct world *w, const struct state *want,
			const struct generation *g)
{
	uint64_t *packets = xmalloc((c->n + 1) * sizeof(*packets));
	struct tally tally = {.config = &g->config, .packets = packets};
	struct error err = {0};
	bool ok = false;

	for (int i = 0; i < TRIES && !ok; i++) {
		memset(packets, 0, (c->n + 1) * sizeof(*packets));
		err = (struct error){0};
		ok = read_spaces(&tally, w, want, &err);
		if (err.code != EINTR)
			break;
	}
	if (ok)
		memcpy(c->packets, packets, c->n * sizeof(*packets));
	else
		log_warn("counters", "error", err.text);
	free(packets);
}

static void begin(struct counts *c, const struct generation *g)
{
	if (c->packets && c->digest == g->config.digest)
		return;
	free(c->packets);
	*c = (struct counts){.digest = g->config.digest, .n = g->config.policies.n};
	c->packets = xmalloc((c->n + 1) * sizeof(*c->packets));
	memset(c->packets, 0, (c->n + 1) * sizeof(*c->packets));
}

void counts_read(struct counts *c, struct world *w, const struct facts *facts,
		 const struct generation *g)
{
	AUTO_RELEASE struct arena a = {0};
	struct findings findings = {0};
	struct state want = {0};

	begin(c, g);
	if (!w->engine.valid) /* for a moment, until the next pass */
		return;
	compile(&want, &findings, &a, &g->config, &g->resolution, &w->engine.said, facts);
	c->on = is_counted(&want);
	if (!c->on)
		return;
	list_each (space, &want.spaces)
		nft_encode_ruleset(&space->ruleset, &a);
	read_wanted(c, w, &want, g);
}

void counts_release(struct counts *c)
{
	free(c->packets);
	*c = (struct counts){0};
}
