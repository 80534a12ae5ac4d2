/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console: what a person typed, and everything that is printed for people.
 *
 * In this room:
 *     console.h  this table of contents
 *     options.h  verb, flags and environment of a call
 *     verbs.h    one function for each verb
 *     say.h      the only way to stdout and stderr
 *     color.h    colours of words that begin a line
 *     timings.h  --timings: how long each stage took
 */
#pragma once
