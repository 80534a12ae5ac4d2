/* SPDX-License-Identifier: GPL-2.0-or-later */
/* explain --packet: sends one packet of a flow and reads what became of it. */
#pragma once

#include "app/answers/look.h"
#include "core/reach/traced.h"

/*
 * look: the host must have been read. A flow that can't be tried from here is an answer, too
 * (traced->unsent).
 */
MUST_CHECK bool packet_try(struct traced *traced, struct look *look, const struct reach_flow *flow,
			   struct error *err);
