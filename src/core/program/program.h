/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet filter program: flows in, one nf_tables table out. Pure.
 *
 * In this room:
 *     program.h         the tables of the host and of a container
 *     groups.h, ends.h  how policies that name lists are laid out
 *     parts.h           what the parts share: filter, egress deny, translations, closing rules
 */
#pragma once

#include "core/flows/flows.h"
#include "core/flows/hooks.h"
#include "core/ruleset/ruleset.h"

/* The table of the host's namespace, or of a container's. Exists only if there is something to say.
 */
void program_host(struct ruleset *rs, struct arena *a, const struct flows *flows,
		  const struct hooks *hooks);
/* What is translated in a container keeps the accept bit in its connection mark there. */
void program_container(struct ruleset *rs, struct arena *a, const struct flows *flows,
		       const struct hooks *hooks);
