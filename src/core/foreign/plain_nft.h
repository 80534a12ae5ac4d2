/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of the reader of nf_tables expressions. Private to it. */
#pragma once

#include "core/foreign/plain.h"
#include "core/nft/nlattr.h"

/* One range of destination ports. False: there is no room. */
MUST_CHECK bool plain_add_span(struct plain *p, uint16_t low, uint16_t high);
/* A match of x_tables. False: not understood. */
MUST_CHECK bool plain_take_match(struct plain *p, struct attrs data);
