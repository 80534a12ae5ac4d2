/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state file: what must be known when the program starts again. What the host had before us, so
 * that `clear` can give it back, which `name`s of policies were containers, so that a translation
 * does not move to the host when its container is removed, and what was taken away to be made again
 * and is not there yet. JSON, replaced by rename:
 *     {"version": 1, "before": {"ip_forward": 0, "ip6_forward": 0, "forward_policy": "ACCEPT",
 * "variant": "nft"}, "containers": ["wireguard"], "connections": [{"container": ID, "name": "db",
 * "network": "shop", "settings": {…}}], "networks": [{"name": "shop", "settings": {…}}], "bridges":
 * [{"network": "shop", "bridge": "br-0123456789ab"}]} A member that is absent is empty. A file that
 * can't be read as ours is never written over.
 */
#pragma once

#include "core/state/state.h"
#include "edge/host/file.h"

struct saved {
	const char *path;
	struct file_mark mark; /* of the file when it was read or written last */
	struct arena arena;
	bool forwarding_was_off, forwarding6_was_off;
	bool policy_was_accept;
	enum variant variant; /* of the FORWARD chain whose policy we changed */
	name_list containers; /* sorted */
	LIST(struct kept_endpoint) connections;
	LIST(struct kept_network) networks;
	network_bridges bridges; /* that have another name than the file gives them */
	bool dirty;		 /* not written yet */
	const char *trouble;	 /* why the file can't be read; NULL: it can */
};

/* Reads the file if it has changed. If it is gone, what is known stays. */
void saved_refresh(struct saved *saved);
void saved_release(struct saved *saved);

/* Called before the change. They write only what is not written yet. */
MUST_CHECK bool saved_remember_forwarding(struct saved *saved, uint8_t family, struct error *err);
MUST_CHECK bool saved_remember_policy(struct saved *saved, enum variant variant, struct error *err);
/* These and no others; sorted. */
MUST_CHECK bool saved_remember_containers(struct saved *saved, const name_list *names,
					  struct error *err);
/* The same of bridges, which must be known before the engine answers. */
MUST_CHECK bool saved_remember_bridges(struct saved *saved, const network_bridges *bridges,
				       struct error *err);
/*
 * What is removed, and what exists again. In memory until saved_write. A newer entry for the same
 * container and network, or the same network, replaces an older one.
 */
void saved_keep_connection(struct saved *saved, const struct kept_endpoint *connection);
void saved_drop_connection(struct saved *saved, const char *container_id, const char *network);
struct kept_endpoint *saved_find_connection(const struct saved *saved, const char *container_id,
					    const char *network);
void saved_keep_network(struct saved *saved, const struct kept_network *network);
void saved_drop_network(struct saved *saved, const char *name);
struct kept_network *saved_find_network(const struct saved *saved, const char *name);
/* Writes the file if it is not up to date. */
MUST_CHECK bool saved_write(struct saved *saved, struct error *err);
/* After everything was restored. What still has to be created again is kept. */
MUST_CHECK bool saved_forget(const struct saved *saved, struct error *err);
