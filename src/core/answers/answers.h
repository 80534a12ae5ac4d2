/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions and answers in people's words. What is true is asked in core/reach and core/path. Pure.
 *
 * In this room:
 *     answers.h   this table of contents
 *     question.h  the words that ask
 *     words.h     flows in words
 *     changes.h   what changed, in words
 *     nearest.h   the policy that nearly admits a flow
 *     explain.h   why a connection passes or does not
 *     tests.h     the file's own tests
 *     live.h      connections that live now
 *     graph.h     a drawing
 */
#pragma once
