/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings an endpoint was made with, to create it again. */
#pragma once

#include "core/engine/answer.h"
#include "core/engine/engine.h"

/* From a member of inspect's NetworkSettings.Networks. */
const char *settings_of_endpoint(const struct answer *answer, uint32_t object,
				 const struct engine_endpoint *endpoint,
				 const struct engine_container *c);
