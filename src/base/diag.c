/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/diag.h"

#include "base/foreign.h"

#include <stdlib.h>

const char *const severity_names[] = {
	[SEVERITY_ERROR] = "error",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_NOTE] = "note",
};

struct diag *diag_add(struct diags *d, enum severity severity, const char *path,
		      const char *pointer, const char *format, ...)
{
	struct diag *diag = list_add(d->arena, &d->list);
	va_list args;

	diag->severity = severity;
	diag->order = d->list.n;
	diag->path = arena_strdup(d->arena, path);
	diag->pointer = arena_strdup(d->arena, pointer);
	va_start(args, format);
	diag->message = arena_vprintf(d->arena, format, args);
	va_end(args);
	d->n_errors += severity == SEVERITY_ERROR;
	d->n_warnings += severity == SEVERITY_WARNING;
	return diag;
}

static int by_place(const void *left, const void *right)
{
	const struct diag *a = left, *b = right;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

void diags_sort(struct diags *d)
{
	if (d->list.n)
		qsort(d->list.items, d->list.n, sizeof(*d->list.items), by_place);
}

const char *diag_format(struct arena *a, const char *file, const struct diag *diag)
{
	return foreign_line(a, arena_printf(a, "%s:%u:%u: %s: %s%s%s", file, diag->line,
					    diag->column, severity_names[diag->severity],
					    diag->path, *diag->path ? ": " : "", diag->message));
}
