/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/console/say.h"

#include "app/console/color.h"
#include "base/foreign.h"

#include <string.h>

static void say(FILE *out, const char *before, const char *format, va_list args, const char *end)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf line = {0};

	buf_puts(&line, before);
	buf_foreign(&line, arena_vprintf(&a, format, args));
	buf_puts(&line, end);
	color_print(out, buf_text(&line));
	fflush(out);
}

void say_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(stderr, "harborwall: ", format, args, "\n");
	va_end(args);
}

int say_failed(const struct error *err)
{
	say_error("%s", err->text);
	return EXIT_FAILED;
}

void say_line(FILE *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(out, "", format, args, "\n");
	va_end(args);
}

void say_begin(FILE *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(out, "", format, args, "");
	va_end(args);
}

void say_page(FILE *out, const struct buf *page)
{
	AUTO_BUF struct buf text = {0};

	buf_foreign_page(&text, buf_text(page), page->len);
	color_print(out, buf_text(&text));
}

void say_clear(FILE *out)
{
	color_print(out, "\x1b[H\x1b[2J");
}

/* Quotes a word for a shell. */
static void add_word(struct buf *out, const char *word)
{
	if (!word[strspn(
		    word,
		    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%")]) {
		buf_puts(out, word);
		return;
	}
	buf_puts(out, "'");
	for (; *word; word++)
		if (*word == '\'')
			buf_puts(out, "'\\''");
		else
			buf_add(out, word, 1);
	buf_puts(out, "'");
}

static const char *apply_command(struct arena *a, const struct options *o, const char *flag,
				 const char *value)
{
	AUTO_BUF struct buf command = {0};

	buf_puts(&command, "harborwall apply ");
	if (strcmp(o->config, DEFAULT_CONFIG) != 0) {
		buf_puts(&command, "-c ");
		add_word(&command, o->config);
		buf_puts(&command, " ");
	}
	buf_printf(&command, "%s %s", flag, value);
	return arena_strdup(a, buf_text(&command));
}

const char *accept_command(struct arena *a, const struct options *o, uint64_t digest)
{
	return apply_command(a, o, "--accept", digest_text(a, digest));
}

const char *confirm_command(struct arena *a, const struct options *o, const char *word)
{
	return apply_command(a, o, "--confirm", word);
}

const char *digest_text(struct arena *a, uint64_t digest)
{
	return arena_printf(a, "%016llx", (unsigned long long)digest);
}
