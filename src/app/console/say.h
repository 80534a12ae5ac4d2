/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output for people. It may contain other people's text anywhere (base/foreign.h), so everything
 * goes to stdout and stderr through here.
 */
#pragma once

#include "app/console/options.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdio.h>

/* "harborwall: …" on stderr. */
void say_error(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same as an error; returns EXIT_FAILED. */
int say_failed(const struct error *err);
void say_line(FILE *out, const char *format, ...) PRINTF_LIKE(2, 3);
/* Prints the beginning of a line, before something that may take some time. */
void say_begin(FILE *out, const char *format, ...) PRINTF_LIKE(2, 3);
/* Lines of ours. */
void say_page(FILE *out, const struct buf *page);

/* On a terminal: erases the current line. */
void say_clear(FILE *out);
/* The command with which a person accepts a file that the daemon holds. */
const char *accept_command(struct arena *a, const struct options *options, uint64_t digest);
/* The command that ends a trial; word: yes or no. */
const char *confirm_command(struct arena *a, const struct options *options, const char *word);
/* As it is printed: sixteen hexadecimal digits. */
const char *digest_text(struct arena *a, uint64_t digest);
