/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns words into a query: names, addresses, "80", "53/udp", "icmp". Pure. */
#pragma once

#include "base/error.h"
#include "core/engine/engine.h"
#include "core/reach/query.h"

/*
 * The end that a text names, looked up in this order: "any", "outside" (everything outside the
 * file's networks) and "host" (this host); what a policy's `from` finds; a container that only the
 * engine knows; an interface that the file names. False: none of these.
 */
MUST_CHECK bool question_end(struct reach_end *end, struct arena *a, const struct reach *reach,
			     const struct engine *engine, const char *text);
/* Says why it was not found, and what was probably meant. */
void question_unknown(struct error *err, const struct reach *reach, const struct engine *engine,
		      const char *text);
/* PORT[/PROTO], LOW-HIGH[/PROTO] or PROTO. The default protocol is tcp. */
MUST_CHECK bool question_traffic(struct traffic *match, const char *text, struct error *err);
