/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/console/color.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RED    "\x1b[31m"
#define GREEN  "\x1b[32m"
#define YELLOW "\x1b[33m"
#define PLAIN  "\x1b[0m"

static bool on_stdout, on_stderr;

/* Words that begin a line, after blanks. check prints the place in the file before them. */
static const struct {
	const char *word, *color;
	bool anywhere;
} words[] = {
	{"+ ", GREEN, false},	   {"- ", RED, false},		{"~ ", YELLOW, false},
	{"conflict:", RED, false}, {"waiting:", YELLOW, false}, {"warning:", YELLOW, false},
	{"FINDING ", RED, false},  {"ok ", GREEN, false},	{"healthy", GREEN, false},
	{"DEGRADED", RED, false},  {"held:", RED, false},	{"refused:", RED, false},
	{"fought:", RED, false},   {": error:", RED, true},	{": warning:", YELLOW, true},
};

static bool is_wanted(const char *when, int fd)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	if (strcmp(when, "auto") != 0)
		return !strcmp(when, "always");
	return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void color_decide(const char *when)
{
	on_stdout = is_wanted(when, STDOUT_FILENO);
	on_stderr = is_wanted(when, STDERR_FILENO);
}

static void print_line(FILE *out, const char *line, size_t len)
{
	const char *start = line + strspn(line, " "), *at = NULL;

	for (size_t i = 0; i < COUNT_OF(words) && start < line + len; i++) {
		size_t n = strlen(words[i].word);

		at = words[i].anywhere			 ? memmem(line, len, words[i].word, n)
		     : !strncmp(start, words[i].word, n) ? start
							 : NULL;
		if (!at)
			continue;
		fprintf(out, "%.*s%s%.*s" PLAIN "%.*s", (int)(at - line), line, words[i].color,
			(int)n, at, (int)(line + len - at - (ptrdiff_t)n), at + n);
		return;
	}
	fwrite(line, 1, len, out);
}

void color_print(FILE *out, const char *text)
{
	if (out == stderr ? !on_stderr : !on_stdout) {
		fputs(text, out);
		return;
	}
	while (*text) {
		size_t len = strcspn(text, "\n");

		print_line(out, text, len);
		text += len;
		if (*text)
			putc(*text++, out);
	}
}
