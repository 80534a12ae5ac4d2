/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Colours for people: the first word of a line that needs attention. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* when: auto (on a terminal, without NO_COLOR), always, never. */
void color_decide(const char *when);
/* Writes whole lines, or the beginning of one. */
void color_print(FILE *out, const char *text);
