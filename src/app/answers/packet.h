/* SPDX-License-Identifier: GPL-2.0-or-later */
/* explain --packet: a flow is tried with one packet, and what became of it is read. */
#pragma once

#include "app/answers/look.h"
#include "core/reach/traced.h"

/* Of a look at the host. A flow that can't be tried from here is an answer, too (traced->unsent).
 */
MUST_CHECK bool packet_try(struct traced *traced, struct look *look, const struct reach_flow *flow,
			   struct error *err);
