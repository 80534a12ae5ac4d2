/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a node stands, as people write it: policies[3].port, ips["172.18.103.2"].ip. Pure. */
#pragma once

#include "base/buf.h"
#include "core/json/json.h"

/* In a list or object: which item the last path led through. Paths are mostly asked for in order.
 */
struct json_step {
	uint32_t container, item, index;
};

void json_path_key(struct buf *path, const char *key);
void json_path_key_node(struct buf *path, const struct json *json, uint32_t key);
/* The way from one node to one inside it. steps: one for each level, zero at first. */
void json_path_way(struct buf *path, const struct json *json, struct json_step *steps,
		   uint32_t from, uint32_t to);
