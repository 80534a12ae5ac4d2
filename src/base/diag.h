/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diagnostics are about the user's file: all are collected, each has a place. While they are
 * collected the place is a JSON pointer; positions are filled in once, at the end, and only if
 * there is something to say (core/json/locate.h).
 */
#pragma once

#include "base/arena.h"

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE };

struct diag {
	enum severity severity;
	uint32_t line, column; /* from 1; columns count characters, as editors do */
	const char *path;      /* as people write it: policies[3].port; "" for the whole file */
	const char *pointer;   /* RFC 6901; ends in "#" where the place is a member's key */
	const char *message;   /* what is wrong, and the remedy after "; " or in parentheses */
	uint32_t order;	       /* the n-th added: keeps diags_sort stable */
};

struct diags {
	LIST(struct diag) list;
	uint32_t n_errors, n_warnings;
	struct arena *arena; /* texts live here */
};

/* Adds one. The message is printf's. Returns it for the caller to fill in line and column. */
struct diag *diag_add(struct diags *d, enum severity severity, const char *path,
		      const char *pointer, const char *format, ...) PRINTF_LIKE(5, 6);
/* File order: line, column, then as they were added. */
void diags_sort(struct diags *d);
/* "networks.json:41:15: error: policies[3].port: 70000 is not a port (1-65535)" */
const char *diag_format(struct arena *a, const char *file, const struct diag *diag);

extern const char *const severity_names[];
