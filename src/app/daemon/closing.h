/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After a boot the engine starts its containers before it answers anybody, and our first pass needs
 * its answer. Until then the networks are closed by what the last good generation says, with the
 * policies that need no engine. It is the table of nf_tables that a pass writes, also where the
 * backend is one of iptables: Docker puts its own chains before chains that stand in FORWARD. The
 * first whole pass replaces it.
 */
#pragma once

#include "app/pass/pass.h"

enum closing {
	CLOSING_NONE,	/* the rules of a pass stand */
	CLOSING_ALONE,	/* nothing else stands */
	CLOSING_BESIDE, /* a pass without an engine was made; the backend is one of iptables */
};

/*
 * Rules of ours that stand already do not change. Ports of strict networks are closed in any case,
 * and from now on as soon as they appear. True: what the last good generation closes is closed.
 */
bool closing_begin(enum closing *closing, struct world *w, const struct options *options);
/* Before a pass is carried out: it replaces the table, or leaves that for later. */
void closing_replace(enum closing *closing, struct pass *p);
