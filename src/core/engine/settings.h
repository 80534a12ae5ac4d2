/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an endpoint was made with, so that it can be made again as it was. */
#pragma once

#include "core/engine/answer.h"
#include "core/engine/engine.h"

/* Of a member of inspect's NetworkSettings.Networks. */
const char *settings_of_endpoint(const struct answer *answer, uint32_t object,
				 const struct engine_endpoint *endpoint,
				 const struct engine_container *c);
