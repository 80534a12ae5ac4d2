/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Draws who may reach whom: networks with their containers, and an edge for each policy. A group of
 * many is one node, so the drawing does not grow with the product of groups. Pure.
 */
#pragma once

#include "base/buf.h"
#include "core/resolve/resolve.h"

enum graph_format { GRAPH_DOT, GRAPH_MERMAID, GRAPH_JSON };

/* Formats: Graphviz dot, Mermaid flowchart, JSON (described in harborwall(8)). */
void graph_print(struct buf *out, const struct config *config, const struct resolution *resolution,
		 enum graph_format format);
