/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places in networks.json while it is loaded: which node declares what, and paths as people read
 * them: policies[3].port, ips["172.18.103.2"].ip. A path is made only when there is something to
 * report. Pure.
 */
#pragma once

#include "base/diag.h"
#include "core/json/path.h"

enum { CONFIG_MAX_NESTING = 32 };

/* Sections before policies are objects with keys; the others are lists. */
enum section { SECTION_NETWORKS, SECTION_IPS, SECTION_POLICIES, SECTION_TESTS, N_SECTIONS };

/* All-zero is ready; release it after the last diagnostic. */
struct config_text {
	struct arena arena; /* contains the tree */
	struct json json;
	size_t len;
	/* node of each declaration, in the order of the config's lists */
	LIST(uint32_t) declared[N_SECTIONS];
	struct json_step steps[CONFIG_MAX_NESTING + 1];
};
void config_text_release(struct config_text *text);
#define AUTO_CONFIG_TEXT __attribute__((cleanup(config_text_release)))

/* The value of a field of this object; without such a field the object itself. */
uint32_t node_of_field(const struct config_text *text, uint32_t object, const char *field);
/* A field of a policy; field NULL: the whole policy. */
uint32_t node_of_policy(const struct config_text *text, uint32_t policy, const char *field);
/* "policies[3] (networks.json:12:5)"; its cost grows with what is before it in the file. */
const char *place_of_policy(struct arena *a, const char *file, const struct config_text *text,
			    uint32_t policy);
/* The key of a member, given its value. */
static inline uint32_t node_of_key(uint32_t value)
{
	return value - 1;
}

/* Adds a diagnostic at a node. */
struct diag *diag_at(struct diags *d, enum severity severity, struct config_text *text,
		     uint32_t node, const char *format, ...) PRINTF_LIKE(5, 6);
/* "networks.web", "ips[\"172.18.103.2\"]" */
const char *path_of_declared(struct arena *a, const char *collection, const char *key);
