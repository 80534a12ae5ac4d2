/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections and networks that are removed to be created again with other settings. Before the
 * first one goes, its settings are read and saved (saved.h), so that a killed program or engine
 * loses nothing. If the wanted one can't be created, the old one is created again; if that fails
 * too, the next pass does it.
 */
#pragma once

#include "app/pass/pass.h"

/*
 * Before the steps: reads and saves. If that fails for a step, the step and all that depend on it
 * fail.
 */
void moves_write_down(struct pass *p, struct world *w);
/* Two kinds of steps. */
MUST_CHECK bool moves_connect(struct world *w, const struct step *step, struct error *err);
MUST_CHECK bool moves_create(struct world *w, const struct step *step, struct error *err);
/* After the steps: what exists again is removed from the state file. */
void moves_settle(struct pass *p, struct world *w);
