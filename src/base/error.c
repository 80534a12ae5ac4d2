/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *err, int code, const char *format, ...)
{
	va_list args;
	size_t len;

	if (err->code)
		return false;
	err->code = code ? code : -1;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	len = strlen(err->text);
	if (code > 0 && code < 134) /* EHWPOISON is Linux's last errno */
		snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(code));
	return false;
}

bool error_wrap(struct error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;
	size_t len;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	len = strlen(text);
	if (len < sizeof(text) - 3)
		snprintf(text + len, sizeof(text) - len, ": %.*s", (int)(sizeof(text) - len - 3),
			 err->text);
	memcpy(err->text, text, sizeof(text));
	if (!err->code)
		err->code = -1;
	return false;
}
