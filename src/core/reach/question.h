/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What somebody asks, in words, as a query: names, addresses, "80", "53/udp", "icmp". Pure. */
#pragma once

#include "base/error.h"
#include "core/engine/engine.h"
#include "core/reach/query.h"

/*
 * The end that a text names, looked up in this order: "any", "outside" (what is no network of the
 * file) and "host" (this host); what a policy's `from` would find; a container of the engine that
 * the file does not know; an interface that the file names. False: it is none of these.
 */
MUST_CHECK bool question_end(struct reach_end *end, struct arena *a, const struct reach *reach,
			     const struct engine *engine, const char *text);
/* Why it is none, with what was probably meant. */
void question_unknown(struct error *err, const struct reach *reach, const struct engine *engine,
		      const char *text);
/* PORT[/PROTO], LOW-HIGH[/PROTO] or PROTO. Without a protocol it is tcp. */
MUST_CHECK bool question_traffic(struct traffic *match, const char *text, struct error *err);
