/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts of a host, as plan, status and doctor tell them: on one line, and for programs. */
#pragma once

#include "base/buf.h"
#include "core/compile/state.h"

/* "Docker 28.5.2, API 1.51; iptables-nft: DOCKER-USER, raw drops; backend nftables" */
void facts_print(struct buf *out, const struct engine *engine, const struct facts *f);
/* The members of an object, each on a line of its own behind indent, without the braces. */
void facts_print_json(struct buf *out, const struct engine *engine, const struct facts *f,
		      const char *indent);
/* Of what decides which rules are wanted: scalars and bits, from which what open_why says follows.
 */
uint64_t facts_digest(const struct facts *f);
