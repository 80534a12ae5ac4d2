/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include "base/foreign.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level lowest_level = LOG_INFO_LEVEL;
static bool as_json;

static const char *const level_names[] = {
	[LOG_DEBUG_LEVEL] = "debug",
	[LOG_INFO_LEVEL] = "info",
	[LOG_WARN_LEVEL] = "warn",
	[LOG_ERROR_LEVEL] = "error",
};

void log_configure(enum log_level lowest, bool json)
{
	lowest_level = lowest;
	as_json = json;
}

static bool log_wants(enum log_level level)
{
	return level >= lowest_level;
}

static bool needs_quotes(const char *text)
{
	if (!*text)
		return true;
	for (size_t len; *text; text += len) {
		len = utf8_len(text);
		if (!len || *text == ' ' || *text == '"' || *text == '=' || *text == '\\' ||
		    unprintable(text, len))
			return true;
	}
	return false;
}

static void add_field(struct buf *line, const char *name, const char *text)
{
	bool number = *name == '#';

	name += number;
	if (line->len > (as_json ? 1u : 0u))
		buf_puts(line, as_json ? "," : " ");
	if (as_json)
		buf_json_string(line, name);
	else
		buf_puts(line, name);
	buf_puts(line, as_json ? ":" : "=");
	if (!number && (as_json || needs_quotes(text)))
		buf_json_string(line, text);
	else
		buf_puts(line, text);
}

static void add_time(struct buf *line)
{
	struct timespec now;
	struct tm utc;
	char text[40];
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + len, sizeof(text) - len, ".%03ldZ", now.tv_nsec / 1000000);
	add_field(line, "time", text);
}

const char *log_time(struct arena *a, time_t t)
{
	struct tm utc;
	char text[32];

	gmtime_r(&t, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return arena_strdup(a, text);
}

void log_event(enum log_level level, const char *what, ...)
{
	AUTO_BUF struct buf line = {0};
	const char *name, *text;
	va_list fields;

	if (!log_wants(level))
		return;
	if (as_json)
		buf_puts(&line, "{");
	add_time(&line);
	add_field(&line, "level", level_names[level]);
	add_field(&line, "what", what);
	va_start(fields, what);
	while ((name = va_arg(fields, const char *))) {
		text = va_arg(fields, const char *);
		if (text)
			add_field(&line, name, text);
	}
	va_end(fields);
	buf_puts(&line, as_json ? "}\n" : "\n");
	/* one write, so that lines of several processes never mix */
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		return;
}
