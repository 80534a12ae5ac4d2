/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verbs that answer a question and change nothing: diff, explain, flows, graph, init, test. Each of
 * these has a source of its name; the headers are what they share with plan and apply.
 *
 * In this room:
 *     answers.h  this table of contents
 *     look.h     a file, and what it means on this host
 *     changes.h  what one file opens and closes against another
 *     packet.h   explain --packet
 *     preview.h  what check, plan and apply print about a file and a plan
 */
#pragma once
