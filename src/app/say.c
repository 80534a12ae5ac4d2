/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/say.h"

#include "base/foreign.h"

static void say(FILE *f, const char *before, const char *format, va_list args)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf line = {0};

	buf_puts(&line, before);
	buf_puts(&line, arena_vprintf(&a, format, args));
	buf_end_line(&line, 0);
	fputs(buf_text(&line), f);
}

void say_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(stderr, "harborwall: ", format, args);
	va_end(args);
}

void say_line(FILE *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(f, "", format, args);
	va_end(args);
}

void say_page(FILE *f, const struct buf *page)
{
	foreign_print(f, buf_text(page), page->len);
}
