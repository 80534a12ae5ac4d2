/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diagnostics are about the user's file: all are collected, each has a place. While they are
 * collected the place is an offset in the text; one sweep over the text makes lines and columns of
 * all of them at the end, and only if there is something to say.
 */
#pragma once

#include "base/arena.h"

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE };

struct position {
	uint32_t line, column; /* from 1; a column is a character (code point), as editors count */
};

struct diag {
	enum severity severity;
	uint32_t at;	       /* offset in the text; counts until there is a line */
	uint32_t line, column; /* 0 until diags_place */
	uint32_t order;	       /* the n-th added: keeps the sorting stable */
	const char *file;      /* another one than the text's: line and column are said; or NULL */
	const char *path;      /* as people write it: policies[3].port; "" for the whole file */
	const char *message;   /* what is wrong, and the remedy after "; " or in parentheses */
	const char *quote;     /* lines that show the place, for people; NULL: there are none */
};

struct diags {
	LIST(struct diag) list;
	uint32_t n_errors, n_warnings;
	struct arena *arena; /* texts live here */
};

/* Adds one. The message is printf's. Returns it for the caller to add what else it knows. */
struct diag *diag_add(struct diags *d, enum severity severity, size_t at, const char *path,
		      const char *format, ...) PRINTF_LIKE(5, 6);
/* Fills in lines and columns and sorts: in the order of the file, then as they were added. */
void diags_place(struct diags *d, const char *text, size_t len);
/* "networks.json:41:15: error: policies[3].port: 70000 is not a port (1-65535)" */
const char *diag_format(struct arena *a, const char *file, const struct diag *diag);

/* Of an offset; an offset behind the end is the end. */
struct position position_of(const char *text, size_t len, size_t offset);
/* The line of this offset, and a caret below the place: "  {\"a\": 1,}\n          ^\n". */
const char *quote_place(struct arena *a, const char *text, size_t len, size_t offset);

extern const char *const severity_names[];
