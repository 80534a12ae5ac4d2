/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What compile() must know of the host, once its tables and the engine were read. */
#pragma once

#include "app/observe/observe.h"

MUST_CHECK bool observe_facts(struct view *view, struct arena *a, struct world *w,
			      struct error *err);
