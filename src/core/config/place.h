/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places in networks.json, while it is loaded: which node of its tree declares what, and paths as
 * people read them: policies[3].port, ips["172.18.103.2"].ip. A path is made only where there is
 * something to say. Pure.
 */
#pragma once

#include "base/diag.h"
#include "core/json/path.h"

enum { CONFIG_MAX_NESTING = 32 };

/* Those before policies are objects, whose members have keys; the others are lists. */
enum section { SECTION_NETWORKS, SECTION_IPS, SECTION_POLICIES, SECTION_TESTS, N_SECTIONS };

/* All-zero is ready; release it when the last diagnostic is said. */
struct config_text {
	struct arena arena; /* of the tree */
	struct json json;
	size_t len;
	LIST(uint32_t) declared[N_SECTIONS]; /* nodes, in the order of the config's lists */
	struct json_step steps[CONFIG_MAX_NESTING + 1];
};
void config_text_release(struct config_text *text);
#define AUTO_CONFIG_TEXT __attribute__((cleanup(config_text_release)))

/* The value of a field of this object; the object itself where it has none. */
uint32_t node_of_field(const struct config_text *text, uint32_t object, const char *field);
/* The field of a policy; field NULL: the whole. */
uint32_t node_of_policy(const struct config_text *text, uint32_t policy, const char *field);
/* The key of a member whose value this is. */
static inline uint32_t node_of_key(uint32_t value)
{
	return value - 1;
}

/* At a node of the tree. */
struct diag *diag_at(struct diags *d, enum severity severity, struct config_text *text,
		     uint32_t node, const char *format, ...) PRINTF_LIKE(5, 6);
/* "networks.web", "ips[\"172.18.103.2\"]" */
const char *path_of_declared(struct arena *a, const char *collection, const char *key);
