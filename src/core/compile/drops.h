/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies that are void on Docker's nftables backend (>= 29), whatever we admit, and what to do. A
 * packet to a bridge must pass there (core/foreign/bridges.h)
 *     raw-PREROUTING  unless it was addressed to the host: only from interfaces that the network
 *                     was created to trust, or with dockerd --allow-direct-routing
 *     its in-chain    only with our mark, of which dockerd must know; no mark leads into an
 *                     internal network
 * Allowed flows meet both, in both directions; what we translate on the host meets the second.
 * Published ports meet neither. Pure.
 */
#pragma once

#include "core/compile/trust.h"
#include "core/state/findings.h"

void compile_drops(struct findings *findings, struct arena *a, const struct trusting *in,
		   const struct entrances *entrances);
