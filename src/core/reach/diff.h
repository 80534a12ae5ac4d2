/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one file lets through and another does not. Pure. */
#pragma once

#include "base/buf.h"
#include "core/reach/reach.h"

enum change_kind {
	CHANGE_FLOWS,	    /* a policy's connections */
	CHANGE_TRANSLATION, /* connections to a namespace's own addresses */
	CHANGE_MASQUERADE,
	CHANGE_NETWORK, /* what no policy decides: within it, from the host, to the outside */
};

struct change {
	enum change_kind kind;
	bool opens;		 /* else closes */
	const char *container;	 /* of a translation: where; NULL: on the host */
	struct flow_block block; /* of which flows; its leaf is the policy's number */
	const char *network;	 /* of a network: Docker's name */
	const char *text;	 /* … and what changed */
};

typedef LIST(struct change) change_list;

enum { CHANGES_MOST = 10000 };

/*
 * Both of one pool. Nothing in the list, and true: they let the same through. False: there is more
 * than CHANGES_MOST of it.
 */
bool reach_diff(change_list *changes, struct arena *a, const struct reach *before,
		const struct reach *after);
