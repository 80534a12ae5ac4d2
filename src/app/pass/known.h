/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of containers from pass to pass (struct known): found by id, inspected where the
 * engine's list shows something new, forgotten when the container or its first process is gone.
 */
#pragma once

#include "app/pass/world.h"

/* NULL: nothing is known. */
struct known *known_find(const struct world *w, const char *id);
/* What is known, if the list shows nothing new; else it is to be inspected. */
struct known *known_recall(struct world *w, const struct engine_container *c);
/* False: there is nothing to be known; where the container is gone, it is forgotten. */
MUST_CHECK bool known_inspect(struct world *w, struct known *k, const struct engine_container *c,
			      struct error *err);
/* Both. NULL: there is nothing to be known. */
struct known *known_learn(struct world *w, const struct engine_container *c, struct error *err);
/* Containers that are gone, or whose first process died: a held socket would keep a dead namespace.
 */
void known_forget_dead(struct world *w, const struct engine *engine);
void known_forget_all(struct world *w);

/* A container's namespace that is open, or NULL. */
const struct ns *known_namespace(const struct world *w, const char *container);
/* Takes the news of a namespace: what was read there may not be so any more. */
bool known_has_news(struct known *k);
/* Of all of them: what is known of them is not trusted blindly. */
bool known_heard_changes(struct world *w);
