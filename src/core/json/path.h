/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a node stands, as people write it: policies[3].port, ips["172.18.103.2"].ip. Pure. */
#pragma once

#include "base/buf.h"
#include "core/json/json.h"

/*
 * In a list or object: the item that the last path went through. Paths are mostly asked for in
 * order.
 */
struct json_step {
	uint32_t container, item, index;
};

void json_path_key(struct buf *path, const char *key);
void json_path_key_node(struct buf *path, const struct json *json, uint32_t key);
/* Appends the path from one node to a node inside it. steps: one per level, zero at first. */
void json_path_way(struct buf *path, const struct json *json, struct json_step *steps,
		   uint32_t from, uint32_t to);
