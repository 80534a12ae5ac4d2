/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds the one packet that is traced: the first packet of a connection, as bytes. Pure. */
#pragma once

#include "core/nft/trace.h"

struct probe_flow {
	struct ip src, dst;
	uint16_t sport, dport; /* for an echo request: its identifier; destination port unused */
};

/*
 * Appends a packet of the addresses' family: a TCP SYN, a UDP datagram of four bytes, an SCTP INIT,
 * or an echo request.
 */
void probe_packet(struct buf *out, const struct probe *probe, const struct probe_flow *flow);
