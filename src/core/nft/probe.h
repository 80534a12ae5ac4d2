/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one packet that the kernel is asked about: what begins a connection, as bytes. Pure. */
#pragma once

#include "core/nft/trace.h"

struct probe_flow {
	struct ip src, dst;
	uint16_t sport, dport; /* of an echo: its number, and nothing */
};

/*
 * A packet of the addresses' family: TCP's SYN, a datagram of four bytes, SCTP's INIT, or an echo
 * request. Appended.
 */
void probe_packet(struct buf *out, const struct probe *probe, const struct probe_flow *flow);
