/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state file: what must be known when the program starts again. What the host had before us, so
 * that `clear` can give it back, and which `name`s of policies were containers, so that a
 * translation does not move to the host when its container is removed. JSON, replaced by rename:
 *     {"version": 1, "before": {"ip_forward": 0, "forward_policy": "ACCEPT", "variant": "nft"},
 *      "containers": ["wireguard"]}
 * A member that is absent is empty. A file that can't be read as ours is never written over.
 */
#pragma once

#include "core/compile/state.h"
#include "edge/host/file.h"

struct saved {
	const char *path;
	struct file_mark mark; /* of the file when it was read or written last */
	struct arena arena;
	bool forwarding_was_off;
	bool policy_was_accept;
	enum variant variant; /* of the FORWARD chain whose policy we changed */
	name_list containers; /* sorted */
	const char *trouble;  /* why the file can't be read as ours; NULL: it can */
};

/* Reads the file if it is another one than was read last. One that vanished: what is known stays.
 */
void saved_refresh(struct saved *saved);
void saved_release(struct saved *saved);

/* Called before the change. They write only what is not written yet. */
MUST_CHECK bool saved_remember_forwarding(struct saved *saved, struct error *err);
MUST_CHECK bool saved_remember_policy(struct saved *saved, enum variant variant, struct error *err);
/* These and no others; sorted. */
MUST_CHECK bool saved_remember_containers(struct saved *saved, const name_list *names,
					  struct error *err);
/* After everything was given back. */
MUST_CHECK bool saved_forget(const struct saved *saved, struct error *err);
