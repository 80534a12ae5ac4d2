/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/plan/choose.h"

#include <errno.h>
#include <string.h>

static const enum variant variants[] = {VARIANT_NFT, VARIANT_LEGACY};

static bool has_traces(const struct traces *t)
{
	for (size_t i = 0; i < COUNT_OF(variants); i++)
		if (t->views[variants[i]].docker_user || t->views[variants[i]].docker_isolation)
			return true;
	list_each (prefix, &t->seen->host_prefixes)
		if (!strcmp(prefix->device, "docker0"))
			return true;
	return t->bridges->exists;
}

bool engine_is_absent(int connect_code, bool asked_for, const struct traces *traces)
{
	return (connect_code == ENOENT || connect_code == ECONNREFUSED) && !asked_for &&
	       !has_traces(traces);
}

static const struct engine_network *first_bridge(const struct engine *engine)
{
	list_each (network, &engine->networks)
		if (network->bridge)
			return network;
	return NULL;
}

/* A running container on a bridge, and that bridge. */
static const struct engine_container *running_on_bridge(const struct engine *engine,
							const char **bridge)
{
	list_each (c, &engine->containers)
		list_each (e, &c->endpoints) {
			const struct engine_network *n = engine_find_network(engine, e->network);

			if (!c->running || !n || !n->bridge)
				continue;
			*bridge = n->bridge;
			return c;
		}
	return NULL;
}

enum whereabouts engine_whereabouts(const struct engine *engine, const interfaces *here)
{
	const char *bridge;

	if (!engine->up || here->n || !first_bridge(engine))
		return ENGINE_IS_HERE;
	return running_on_bridge(engine, &bridge) ? ENGINE_IS_ELSEWHERE : ENGINE_MAY_BE_ELSEWHERE;
}

#define FLAG "docker run --network host"

const char *engine_whereabouts_text(struct arena *a, const struct engine *engine,
				    enum whereabouts where)
{
	const struct engine_network *network = first_bridge(engine);
	const char *bridge = "";
	const struct engine_container *c = running_on_bridge(engine, &bridge);

	if (where == ENGINE_IS_HERE || !network)
		return NULL;
	if (c)
		return arena_printf(a,
				    "container \"%s\" runs on the bridge %s, which is not in this "
				    "network namespace: the engine uses another namespace, and "
				    "rules here would have no effect; run harborwall there (" FLAG
				    ")",
				    c->name, bridge);
	return arena_printf(a,
			    "no bridge of the engine's networks (%s) is in this network namespace: "
			    "if the engine uses another namespace, rules here have no effect; run "
			    "harborwall there (" FLAG ")",
			    network->bridge);
}

enum { FIRST_WITH_NFTABLES = 29 }; /* Docker Engine */

bool docker_writes_nftables(const struct engine *engine, const struct filter_view views[],
			    const struct bridges_view *bridges)
{
	bool iptables = false;

	for (size_t i = 0; i < COUNT_OF(variants); i++)
		iptables |= views[variants[i]].docker_isolation;
	if (iptables != bridges->exists)
		return bridges->exists;
	return engine->firewall == DOCKER_FIREWALL_NFTABLES && engine->major >= FIRST_WITH_NFTABLES;
}

enum variant choose_variant(bool docker_nftables, const struct filter_view views[])
{
	if (docker_nftables)
		return VARIANT_NONE;
	for (size_t i = 0; i < COUNT_OF(variants); i++)
		if (views[variants[i]].docker_user && views[variants[i]].docker_isolation)
			return variants[i];
	for (size_t i = 0; i < COUNT_OF(variants); i++)
		if (views[variants[i]].exists)
			return variants[i];
	/* flushed; dockerd >= 28 next adds a drop for the next container that connects */
	for (size_t i = 0; i < COUNT_OF(variants); i++)
		if (views[variants[i]].raw_drops)
			return variants[i];
	return VARIANT_NONE;
}

bool nf_tables_is_absent(int code)
{
	return code == EINVAL || code == EOPNOTSUPP || code == EPROTONOSUPPORT ||
	       code == EAFNOSUPPORT;
}

static bool choose_legacy(struct facts *f, const char *asked, struct error *err)
{
	f->backend = BACKEND_IPTABLES;
	f->variant = VARIANT_LEGACY;
	if (!asked || !strcmp(asked, "iptables-legacy"))
		return true;
	return error_set(err, -1,
			 "the backend %s needs nf_tables, which this kernel lacks; load the module "
			 "nf_tables or use HARBORWALL_BACKEND=iptables-legacy",
			 asked);
}

bool choose_backend(struct facts *f, const char *asked, struct error *err)
{
	static const char *const names[] = {
		[VARIANT_NFT] = "iptables-nft", [VARIANT_LEGACY] = "iptables-legacy"};

	if (f->no_nf_tables)
		return choose_legacy(f, asked, err);
	f->backend = BACKEND_NFTABLES;
	if (!asked || !strcmp(asked, "nftables"))
		return true;
	if (f->docker_nftables)
		return error_set(
			err, -1,
			"the backend %s would have no effect: Docker writes its own nf_tables "
			"tables here, and their drops are final; use HARBORWALL_BACKEND=nftables",
			asked);
	for (size_t i = 0; i < COUNT_OF(variants); i++) {
		if (strcmp(asked, names[variants[i]]) != 0)
			continue;
		f->backend = BACKEND_IPTABLES;
		if (f->variant == VARIANT_NONE)
			f->variant = variants[i];
		if (f->variant == variants[i])
			return true;
	}
	return error_set(err, -1,
			 "the backend %s would have no effect: the firewall here is %s, and its "
			 "drops are final; use HARBORWALL_BACKEND=nftables or %s",
			 asked, names[f->variant], names[f->variant]);
}
