/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Docker's drivers and their options mean for the packets of a network. Pure. */
#pragma once

#include "core/config/config.h"

bool driver_is_bridge(const char *driver);
/* Packets of these networks do not pass the host's forward hook: macvlan, ipvlan, overlay. */
bool driver_passes_by(const char *driver);
const char *pair_value(const pair_list *pairs, const char *name); /* NULL if there is none */
/* enable_icc=false: Docker drops traffic between containers of the network. */
bool options_keep_apart(const pair_list *options);
