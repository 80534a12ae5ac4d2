/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/foreign.h"

size_t utf8_len(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = s[0] < 0x80   ? s[0] != 0
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;

	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (len == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)))
		return 0;
	if (len == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)))
		return 0;
	return len;
}

uint32_t unprintable(const char *text, size_t len)
{
	static const struct {
		uint16_t first, last;
	} ranges[] = {{0x01, 0x1f},	{0x7f, 0x9f},	  {0x061c, 0x061c},
		      {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}};
	const unsigned char *s = (const unsigned char *)text;
	uint32_t rune = len == 1   ? s[0]
			: len == 2 ? (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu)
			: len == 3 ? (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu)
				   : 0; /* no escape is longer */

	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		if (rune >= ranges[i].first && rune <= ranges[i].last)
			return rune;
	return 0;
}

/* How many of the len bytes at s are printed unchanged. Most texts are ASCII. */
static size_t printable(const char *s, size_t len, const char *ours)
{
	size_t at = 0;

	while (at < len) {
		size_t n = 1;

		if (s[at] >= ' ' && s[at] <= '~') {
			at++;
			continue;
		}
		if ((unsigned char)s[at] >= 0x80 || !s[at])
			n = utf8_len(s + at);
		if (!n || (unprintable(s + at, n) && !strchr(ours, s[at])))
			break;
		at += n;
	}
	return at;
}

static void add(struct buf *b, const char *s, size_t len, const char *ours)
{
	while (len) {
		size_t n = printable(s, len, ours);
		uint32_t rune;

		buf_add(b, s, n);
		s += n;
		len -= n;
		if (!len)
			return;
		n = utf8_len(s);
		rune = n ? unprintable(s, n) : 0;
		if (n)
			buf_printf(b, "\\u%04x", rune);
		else
			buf_printf(b, "\\x%02x", (unsigned char)*s);
		n = n ? n : 1;
		s += n;
		len -= n;
	}
}

void buf_foreign(struct buf *b, const char *text)
{
	add(b, text, strlen(text), "");
}

void buf_end_line(struct buf *b, size_t start)
{
	size_t len = b->len - start;
	AUTO_BUF struct buf line = {0};

	if (len && printable(b->data + start, len, "") < len) {
		buf_add(&line, b->data + start, len);
		buf_cut(b, start);
		add(b, line.data, len, "");
	}
	buf_puts(b, "\n");
}

void buf_line(struct buf *b, const char *format, ...)
{
	AUTO_RELEASE struct arena a = {0};
	size_t start = b->len;
	va_list args;

	va_start(args, format);
	buf_puts(b, arena_vprintf(&a, format, args));
	va_end(args);
	buf_end_line(b, start);
}

void buf_foreign_page(struct buf *b, const char *text, size_t len)
{
	add(b, text, len, "\n\t");
}

const char *foreign_line(struct arena *a, const char *text)
{
	AUTO_BUF struct buf b = {0};
	size_t len = strlen(text);

	if (printable(text, len, "") == len)
		return text;
	buf_foreign(&b, text);
	return arena_strdup(a, buf_text(&b));
}

void buf_json_string(struct buf *b, const char *s)
{
	buf_puts(b, "\"");
	while (*s) {
		size_t len = utf8_len(s);
		uint32_t rune = len ? unprintable(s, len) : 0;

		if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else if (rune)
			buf_printf(b, "\\u%04x", rune);
		else if (len)
			buf_add(b, s, len);
		else
			buf_puts(b, "\\ufffd");
		s += len ? len : 1;
	}
	buf_puts(b, "\"");
}

void buf_json_member(struct buf *b, const char *before, const char *key, const char *value)
{
	buf_printf(b, "%s\"%s\": ", before, key);
	buf_json_string(b, value);
}
