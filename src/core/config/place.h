/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places in networks.json: JSON pointers (RFC 6901) as the program keeps them, paths as people read
 * them: /networks/web/subnet is networks.web.subnet, /policies/3 is policies[3], and keys that are
 * no identifiers stand as ips["172.18.103.2"].ip. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/diag.h"

/* Appends "/key", escaped. */
void place_add_key(struct buf *pointer, const char *key);
void place_add_index(struct buf *pointer, uint32_t index);
const char *place_path(struct arena *a, const char *pointer);

/* The pointer may end in "#": at the key of the member. */
struct diag *diag_at(struct diags *d, enum severity severity, const char *pointer,
		     const char *format, ...) PRINTF_LIKE(4, 5);

/* Pointers of what is declared: "/networks/KEY/FIELD"; field NULL: the whole; "subnet#" its key. */
const char *place_of(struct arena *a, const char *collection, const char *key, const char *field);
const char *place_of_policy(struct arena *a, uint32_t i, const char *field);
