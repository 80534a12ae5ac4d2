/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may reach whom, as a drawing: networks with the containers in them, and an edge for each
 * policy. A group of many stands as one, so that a drawing never is a product. Pure.
 */
#pragma once

#include "base/buf.h"
#include "core/resolve/resolve.h"

enum graph_format { GRAPH_DOT, GRAPH_MERMAID, GRAPH_JSON };

/* dot: Graphviz; mermaid: a flowchart of Mermaid; json: man page harborwall(8). */
void graph_print(struct buf *out, const struct config *config, const struct resolution *resolution,
		 enum graph_format format);
