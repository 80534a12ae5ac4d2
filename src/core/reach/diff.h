/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one file admits and another does not. Pure. */
#pragma once

#include "base/buf.h"
#include "core/reach/reach.h"

enum change_kind {
	CHANGE_FLOWS,	    /* connections that a policy admits */
	CHANGE_TRANSLATION, /* connections to a namespace's own addresses */
	CHANGE_MASQUERADE,
	CHANGE_NETWORK, /* what no policy decides: within a network, from the host, to the outside
			 */
};

struct change {
	enum change_kind kind;
	bool opens;		 /* otherwise it closes */
	const char *container;	 /* of a translation: its container; NULL: on the host */
	struct flow_block block; /* the flows; the leaf is the policy's number */
	const char *network;	 /* of a network: its Docker name */
	const char *text;	 /* and what changed */
};

typedef LIST(struct change) change_list;

enum { CHANGES_MOST = 10000 };

/*
 * Both must be of one pool. True with an empty list: they admit the same. False: there are more
 * than CHANGES_MOST differences.
 */
bool reach_diff(change_list *changes, struct arena *a, const struct reach *before,
		const struct reach *after);
