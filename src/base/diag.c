/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/diag.h"

#include "base/buf.h"
#include "base/foreign.h"

#include <stdlib.h>

const char *const severity_names[] = {
	[SEVERITY_ERROR] = "error",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_NOTE] = "note",
};

struct diag *diag_add(struct diags *d, enum severity severity, size_t at, const char *path,
		      const char *format, ...)
{
	struct diag *diag = list_add(d->arena, &d->list);
	va_list args;

	diag->severity = severity;
	diag->at = (uint32_t)at;
	diag->order = d->list.n;
	diag->path = arena_strdup(d->arena, path);
	va_start(args, format);
	diag->message = arena_vprintf(d->arena, format, args);
	va_end(args);
	d->n_errors += severity == SEVERITY_ERROR;
	d->n_warnings += severity == SEVERITY_WARNING;
	return diag;
}

/* --- places --- */

static bool begins_character(char c)
{
	return (c & 0xc0) != 0x80;
}

static uint32_t count_lines(const char *text, size_t len)
{
	enum { BLOCK = 64 }; /* compilers vectorize such a loop */
	uint32_t n = 0;

	for (; len >= BLOCK; text += BLOCK, len -= BLOCK) {
		uint8_t found = 0;

		for (int i = 0; i < BLOCK; i++)
			found = (uint8_t)(found + (text[i] == '\n'));
		n += found;
	}
	for (; len; text++, len--)
		n += *text == '\n';
	return n;
}

/* Moves on by this many bytes. */
static void move_on(struct position *p, const char *text, size_t len)
{
	const char *newline = memrchr(text, '\n', len);
	const char *end = text + len;

	if (newline) {
		*p = (struct position){p->line + count_lines(text, len), 1};
		text = newline + 1;
	}
	for (; text < end; text++)
		p->column += begins_character(*text);
}

struct position position_of(const char *text, size_t len, size_t offset)
{
	struct position p = {1, 1};

	move_on(&p, text, offset < len ? offset : len);
	return p;
}

static int by_offset(const void *left, const void *right)
{
	const struct diag *a = left, *b = right;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

void diags_place(struct diags *d, const char *text, size_t len)
{
	struct position p = {1, 1};
	size_t done = 0;

	if (!d->list.n)
		return;
	qsort(d->list.items, d->list.n, sizeof(*d->list.items), by_offset);
	list_each (diag, &d->list) {
		size_t at = diag->at < len ? diag->at : len;

		move_on(&p, text + done, at - done);
		done = at;
		if (diag->file)
			continue;
		diag->line = p.line;
		diag->column = p.column;
	}
}

/* --- text --- */

enum { BEFORE = 60, BEHIND = 40 }; /* bytes of a long line that are shown */

static const char *line_begin(const char *text, const char *at)
{
	const char *first = at - text > BEFORE ? at - BEFORE : text;

	for (const char *c = at; c > first; c--)
		if (c[-1] == '\n')
			return c;
	while (first < at && !begins_character(*first))
		first++;
	return first;
}

static const char *line_end(const char *at, const char *end)
{
	const char *last = end - at > BEHIND ? at + BEHIND : end;
	const char *newline = memchr(at, '\n', (size_t)(last - at));

	if (newline)
		return newline > at && newline[-1] == '\r' ? newline - 1 : newline;
	while (last > at && last < end && !begins_character(*last))
		last--;
	return last;
}

const char *quote_place(struct arena *a, const char *text, size_t len, size_t offset)
{
	const char *at = text + (offset < len ? offset : len);
	const char *begin = line_begin(text, at), *end = line_end(at, text + len);
	const char *line = arena_strndup(a, begin, (size_t)(end - begin)), *place;
	AUTO_BUF struct buf out = {0}, caret = {0};
	size_t n;

	place = line + (at - begin);
	end = line + (end - begin);
	buf_puts(&out, "  ");
	for (; line < end; line += n ? n : 1) { /* one column each, also for what is escaped */
		n = utf8_len(line);
		if (n && (*line == '\t' || !unprintable(line, n)))
			buf_add(&out, line, n);
		else
			buf_puts(&out, "?");
		if (line < place)
			buf_puts(&caret, *line == '\t' ? "\t" : " ");
	}
	buf_printf(&out, "\n  %s^\n", buf_text(&caret));
	return arena_strdup(a, buf_text(&out));
}

const char *diag_format(struct arena *a, const char *file, const struct diag *diag)
{
	return foreign_line(a,
			    arena_printf(a, "%s:%u:%u: %s: %s%s%s", diag->file ? diag->file : file,
					 diag->line, diag->column, severity_names[diag->severity],
					 diag->path, *diag->path ? ": " : "", diag->message));
}
