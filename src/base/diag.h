/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diagnostics are about the user's file. All are collected, each with its place. While they are
 * collected the place is an offset in the text. At the end one walk over the text computes all
 * lines and columns, and only if there are diagnostics.
 */
#pragma once

#include "base/arena.h"

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE };

struct position {
	uint32_t line, column; /* from 1; a column is a character (code point), as editors count */
};

struct diag {
	enum severity severity;
	uint32_t at;	       /* offset in the text; used until line is set */
	uint32_t line, column; /* 0 until diags_place */
	uint32_t order;	       /* the n-th that was added: keeps the sorting stable */
	const char *file;    /* another file than the text: then line and column are set; or NULL */
	const char *path;    /* as people write it: policies[3].port; "" for the whole file */
	const char *message; /* what is wrong, and the remedy after "; " or in parentheses */
	const char *quote;   /* the line that contains the place, to print; NULL: none */
};

struct diags {
	LIST(struct diag) list;
	uint32_t n_errors, n_warnings;
	struct arena *arena; /* texts live here */
};

/* Adds a diagnostic; the message is printf's. Returns it, so that the caller can add more. */
struct diag *diag_add(struct diags *d, enum severity severity, size_t at, const char *path,
		      const char *format, ...) PRINTF_LIKE(5, 6);
/* Computes lines and columns, and sorts: in file order, then in the order of adding. */
void diags_place(struct diags *d, const char *text, size_t len);
/* "networks.json:41:15: error: policies[3].port: 70000 is not a port (1-65535)" */
const char *diag_format(struct arena *a, const char *file, const struct diag *diag);

/* The place of an offset; beyond the end: the end. */
struct position position_of(const char *text, size_t len, size_t offset);
/* The line of this offset, and a caret below the place: "  {\"a\": 1,}\n          ^\n". */
const char *quote_place(struct arena *a, const char *text, size_t len, size_t offset);

extern const char *const severity_names[];
