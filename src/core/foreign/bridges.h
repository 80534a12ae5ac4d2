/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Docker's own nf_tables backend (Docker Engine >= 29): tables `ip docker-bridges` and
 * `ip6 docker-bridges`, as far as we must understand them. Seen with 29.7.2; BR stands for a
 * bridge:
 *
 *     filter-FORWARD           hook forward: oifname vmap @filter-forward-in-jumps
 *                                            iifname vmap @filter-forward-out-jumps
 *     filter-forward-in__BR    established … accept; with --bridge-accept-fwmark mark … accept;
 *                              iifname BR accept; published ports … accept; drop
 *       of an internal network iifname != BR drop, before all of that and without the mark
 *     filter-forward-out__BR   of an internal network oifname != BR drop; else accept
 *     raw-PREROUTING           ip daddr CONTAINER iifname != { BR, trusted … } drop
 *
 * One of them proves nothing about the others: after a flush Docker writes anew only what its next
 * change touches, and filter-FORWARD only when dockerd starts. Nothing is ever written into it, for
 * Docker throws it away with its next change. Pure.
 */
#pragma once

#include "base/error.h"
#include "core/engine/engine.h"
#include "core/flows/interfaces.h"
#include "core/ruleset/ruleset.h"

/* What stands for one bridge, where filter-FORWARD leads to it. */
struct bridge_rules {
	const char *bridge;
	bool asked_in, asked_out; /* the map leads to a chain that stands */
	bool drops;		  /* in: whatever no rule before it accepts … */
	bool accepts;		  /* … or it accepts that (gateway_mode nat-unprotected) */
	bool drops_foreign;	  /* in: what comes from elsewhere, marked or not: internal */
	bool takes_mark;	  /* in: before it drops */
	bool drops_out;		  /* out: what leaves for elsewhere: internal */
};

struct bridges_view {
	uint8_t family; /* 4 or 6: of `ip` or `ip6` */
	bool exists;	/* the table does … */
	bool dormant;	/* … and nothing of it is in force */
	bool in, out;	/* filter-FORWARD asks the maps for what goes to, and comes from, bridges */
	bool drops_direct; /* raw-PREROUTING drops for one container at least */
	/* Names filter-FORWARD's first rule: another one once dockerd starts. 0: there is none. */
	uint64_t written;
	LIST(struct bridge_rules) bridges; /* sorted */
};

/* "table ip6 docker-bridges" */
const char *bridges_table(const struct bridges_view *view);
/* Chains and maps whose rules and elements a view needs. */
bool bridges_part_matters(const char *name);
/* mark: our accept bit. */
void bridges_view(struct bridges_view *view, struct arena *a, const struct ruleset *table,
		  uint32_t mark);

/* NULL: nothing stands for it. */
const struct bridge_rules *bridges_find(const struct bridges_view *view, const char *bridge);
/*
 * What is missing of the rules that close a bridge, "chain … lacks its drop"; NULL: nothing is.
 * internal: its network is, which Docker closes in both directions.
 */
const char *bridges_lack(const struct bridges_view *view, struct arena *a, const char *bridge,
			 bool internal);
/*
 * Why one of the engine's networks is open, and what to do; NULL: none is. Where there is no engine
 * to ask, of those that have rules. Of those that have a device here only: Docker removes a
 * bridge's rules behind the bridge.
 */
const char *bridges_open(const struct bridges_view *view, struct arena *a,
			 const struct engine *engine, const interfaces *devices);
/* There are bridges with a drop, and all of them let through before it what we marked. */
bool bridges_take_mark(const struct bridges_view *view);

/* A container runs for which raw-PREROUTING drops, unless dockerd has --allow-direct-routing. */
bool bridges_expect_direct_drops(const struct engine *engine, uint8_t family);
