/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What follows from what was seen on a host: whether there is a Docker at all, which variant of
 * iptables it uses, which backend our rules are written with. Pure: views in, choices out.
 */
#pragma once

#include "base/error.h"
#include "core/foreign/bridges.h"
#include "core/foreign/handoff.h"
#include "core/plan/observed.h"

/* What an engine leaves on a host that it runs on, or ran on since the last boot. */
struct traces {
	const struct filter_view *views; /* of both variants, by enum variant */
	const struct bridges_view *bridges;
	const struct observed *seen; /* the host's addresses */
};

/*
 * Nobody listens where engines do, nobody said that one should, and none left a trace: a host
 * without Docker, where the file alone is the whole truth. One that is stopped is another matter:
 * what stands was made of what it knew.
 */
bool engine_is_absent(int connect_code, bool asked_for, const struct traces *traces);

/*
 * Docker writes nf_tables tables of its own, and no rules of iptables: by what stands. An engine 28
 * that was started with DOCKER_FIREWALL_BACKEND=nftables says so and does not do so; up to API 1.48
 * and through a proxy that hides /info an engine says nothing. Its word counts where nothing stands
 * yet, and where both do, for a switch leaves old rules behind.
 */
bool docker_writes_nftables(const struct engine *engine, const struct filter_view views[],
			    const struct bridges_view *bridges);

/*
 * Whether the engine's bridges are in the namespace that we are in. Where none is, a container that
 * runs on one is a sure sign that the engine runs in another one; without such a container nobody
 * can tell. An engine without bridges has none to miss.
 */
enum whereabouts { ENGINE_IS_HERE, ENGINE_MAY_BE_ELSEWHERE, ENGINE_IS_ELSEWHERE };
/* here: the engine's bridges that are. */
enum whereabouts engine_whereabouts(const struct engine *engine, const interfaces *here);
/* In words, with what helps. NULL: it is here. */
const char *engine_whereabouts_text(struct arena *a, const struct engine *engine,
				    enum whereabouts where);

/* Docker's own chains tell which variant it writes; without them, the one that is in use at all. */
enum variant choose_variant(bool docker_nftables, const struct filter_view views[]);

/* By what the kernel answers to the first question about nf_tables: it has none, or no nfnetlink.
 */
bool nf_tables_is_absent(int code);

/*
 * The backend, and the variant where nothing but the wish decides it, from facts of which the
 * variant and Docker's own are known. asked: HARBORWALL_BACKEND, or NULL. Rules in the variant that
 * Docker does not use would be void, for its drops are final: refused. Without nf_tables
 * iptables-legacy is all there is.
 */
MUST_CHECK bool choose_backend(struct facts *f, const char *asked, struct error *err);
