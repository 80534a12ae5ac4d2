/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends one packet from a namespace and listens to what the host's does with it (core/nft/trace.h).
 * The tables that do it are owned by a socket of ours: whatever ends us takes them with it.
 */
#pragma once

#include "core/nft/probe.h"
#include "edge/netlink/netns.h"

struct probing {
	const struct ns *from; /* where it is sent; may be the host's, which is listened to */
	struct probe probe;
	struct probe_flow flow; /* src family 0: chosen by the route to dst; sport is chosen */
	struct ip borrower;	/* the sender's own address, where flow.src is not; or family 0 */
	bool within;		/* it may stay within one bridge, which must then be traced, too */
	char refused[96];	/* why its own namespace does not send it; "": it does */
	bool goes_otherwise;	/* … with another source, or not to this host */
	char in[16], out[16];	/* names of the trace's interfaces; "": not seen */
};

/* probe.proto, flow's addresses, of either family, and dport are given; the rest is chosen. */
MUST_CHECK bool probe_run(struct trace *trace, struct arena *a, struct probing *p,
			  struct error *err);
