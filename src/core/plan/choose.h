/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conclusions from what was seen on a host: is there a Docker, which iptables variant does it use,
 * which backend do our rules use. Pure.
 */
#pragma once

#include "base/error.h"
#include "core/foreign/bridges.h"
#include "core/foreign/handoff.h"
#include "core/plan/observed.h"

/* Traces that an engine leaves on its host until the next boot. */
struct traces {
	const struct filter_view *views; /* of both variants, indexed by enum variant */
	const struct bridges_view *bridges;
	const struct observed *seen; /* contains the host's addresses */
};

/*
 * True: a host without Docker, where the file alone counts. Nothing listens at the usual socket,
 * DOCKER_HOST is not set, and no engine left traces. A stopped engine is another case: what exists
 * was made from what it knew.
 */
bool engine_is_absent(int connect_code, bool asked_for, const struct traces *traces);

/*
 * Whether Docker writes its own nf_tables tables and no iptables rules, judged by what exists. The
 * engine's answer is not enough: engine 28 started with DOCKER_FIREWALL_BACKEND=nftables says so
 * and does not do it, and up to API 1.48, or behind a proxy that blocks /info, it says nothing. The
 * answer counts if neither kind of rules exists, or both do (a switch leaves old rules behind).
 */
bool docker_writes_nftables(const struct engine *engine, const struct filter_view views[],
			    const struct bridges_view *bridges);

/*
 * Whether the engine's bridges are in our network namespace. If none is, a container running on one
 * proves that the engine uses another namespace; without such a container it stays uncertain. An
 * engine without bridges is never elsewhere.
 */
enum whereabouts { ENGINE_IS_HERE, ENGINE_MAY_BE_ELSEWHERE, ENGINE_IS_ELSEWHERE };
/* here: the bridges that are in this namespace. */
enum whereabouts engine_whereabouts(const struct engine *engine, const interfaces *here);
/* An explanation with a remedy. NULL: the engine is here. */
const char *engine_whereabouts_text(struct arena *a, const struct engine *engine,
				    enum whereabouts where);

/* Docker's own chains show which variant it uses; without them, the only variant in use. */
enum variant choose_variant(bool docker_nftables, const struct filter_view views[]);

/* From the kernel's answer to the first nf_tables request: no nf_tables, or no nfnetlink. */
bool nf_tables_is_absent(int code);

/*
 * Chooses the backend, and the variant if only HARBORWALL_BACKEND decides it. The facts' variant
 * and Docker's own backend must be set. asked: HARBORWALL_BACKEND, or NULL. Refuses a variant that
 * Docker does not use, because Docker's drops would win. Without nf_tables only iptables-legacy is
 * left.
 */
MUST_CHECK bool choose_backend(struct facts *f, const char *asked, struct error *err);
