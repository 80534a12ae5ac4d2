/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Colours for people: the first word of a line that wants to be seen. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* when: auto (a terminal, no NO_COLOR, no dumb TERM), always, never. */
void color_decide(const char *when);
/* Whole lines, or the beginning of one. */
void color_print(FILE *out, const char *text);
