/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state file: what the host had before us, so that `clear` can give it back. Losing it loses no
 * more than that. JSON, replaced by rename:
 *     {"version": 1, "before": {"ip_forward": 0, "forward_policy": "ACCEPT", "variant": "nft"}}
 */
#pragma once

#include "core/compile/state.h"

struct saved {
	bool forwarding_was_off;
	bool policy_was_accept;
	enum variant variant; /* of the FORWARD chain whose policy we changed */
};

/* A file that is absent is an empty one; one that can't be read as ours is an error. */
MUST_CHECK bool saved_read(struct saved *saved, const char *path, struct error *err);
/* Called before the change. They write only what is not written yet. */
MUST_CHECK bool saved_remember_forwarding(const char *path, struct error *err);
MUST_CHECK bool saved_remember_policy(const char *path, enum variant variant, struct error *err);
/* After everything was given back. */
MUST_CHECK bool saved_forget(const char *path, struct error *err);
