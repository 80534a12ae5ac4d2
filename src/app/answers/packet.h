/* SPDX-License-Identifier: GPL-2.0-or-later */
/* explain --packet, test --packets: a flow is tried with one packet, and what became of it is read.
 */
#pragma once

#include "app/answers/look.h"
#include "core/path/traced.h"

/* False: this look does not allow it, for the option asks this host's kernel. */
MUST_CHECK bool packet_is_possible(const struct look *look, const char *option, struct error *err);
/*
 * Sends one packet. look: with the host read. A flow that can't be tried from here is an answer,
 * too (traced->unsent). borrowed: it is sent by a neighbour on the same interface, who does not
 * have its source address.
 */
MUST_CHECK bool packet_send(struct traced *traced, struct look *look, const struct reach_flow *flow,
			    bool borrowed, struct error *err);
/* The rules that it met, for those who print them. */
MUST_CHECK bool packet_read_rules(struct traced *traced, struct look *look, struct error *err);
