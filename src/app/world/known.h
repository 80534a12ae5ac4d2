/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known about containers from pass to pass (struct known): found by id, inspected again
 * when the engine's list shows a change, forgotten when the container or its first process is gone.
 */
#pragma once

#include "app/world/world.h"

/* NULL: the container is not known. */
struct known *known_find(const struct world *w, const char *id);
/* Never NULL. If the engine's list shows a change, it is a new one, and not inspected. */
struct known *known_recall(struct world *w, const struct engine_container *c);
/* Inspects it. False: it can't be known; if the container is gone, it is forgotten. */
MUST_CHECK bool known_inspect(struct world *w, struct known *k, const struct engine_container *c,
			      struct error *err);
/* Known or inspected. NULL: it can't be known. */
struct known *known_learn(struct world *w, const struct engine_container *c, struct error *err);
/*
 * Forgets containers that are gone or whose first process died. A held socket would keep a dead
 * namespace alive.
 */
void known_forget_dead(struct world *w, const struct engine *engine);
void known_forget_all(struct world *w);

/* An open namespace of a container, or NULL. */
const struct ns *known_namespace(const struct world *w, const char *container);
/* Reads the events of a namespace. Afterwards what was read there may be outdated. */
bool known_has_news(struct known *k);
/* All of them must be read again. */
bool known_heard_changes(struct world *w);
