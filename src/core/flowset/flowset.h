/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of flows as decision diagrams, so that two files can be compared without listing every pair
 * of addresses. Pure.
 *
 * In this room:
 *     flowset.h  this table of contents
 *     flow.h     the fields of a flow
 *     diagram.h  diagrams: build, combine, compare, list
 *     sets.h     the sets that diagrams are built from
 *     nodes.h    the nodes of diagrams
 */
#pragma once
