/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flows as text: "web -> db 5432/tcp". Pure. */
#pragma once

#include "core/reach/diff.h"

/* "policies[3], networks.json:41" */
const char *policy_place(struct arena *a, const struct config *config, uint32_t policy);
/* The same, by the policy itself. */
void print_policy_traffic(struct buf *out, const struct config *config, const struct policy *p);
void print_matches(struct buf *out, const struct traffic *matches, uint32_t n);
/* "web, lb by br-a -> db 5432/tcp"; for the leaf of a policy with its number. */
void print_block(struct buf *out, const struct reach *reach, const struct flow_block *block);
/* A line without its end: "opens web -> db 5432/tcp", with the policy. */
void print_change(struct buf *out, const struct reach *reach, const struct change *change);
/* The same without "opens". */
void print_change_words(struct buf *out, const struct reach *reach, const struct change *change);
/* The same as a JSON object, without an end of line. */
void print_change_json(struct buf *out, const struct reach *reach, const struct change *change);
