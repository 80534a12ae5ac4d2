/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config/place.h"

#include <ctype.h>
#include <string.h>

void place_add_key(struct buf *pointer, const char *key)
{
	buf_puts(pointer, "/");
	for (; *key; key++) {
		if (*key == '~')
			buf_puts(pointer, "~0");
		else if (*key == '/')
			buf_puts(pointer, "~1");
		else
			buf_add(pointer, key, 1);
	}
}

void place_add_index(struct buf *pointer, uint32_t index)
{
	buf_printf(pointer, "/%u", index);
}

static bool is_identifier(const char *text)
{
	if (!isalpha((unsigned char)*text) && *text != '_')
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && *text != '_' && *text != '-')
			return false;
	return true;
}

static bool is_index(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

/* The segment that ends at `end`, unescaped. */
static void take_segment(struct buf *segment, const char *at, const char *end)
{
	buf_clear(segment);
	for (; at < end; at++) {
		if (*at == '~' && at + 1 < end) {
			buf_puts(segment, at[1] == '1' ? "/" : "~");
			at++;
		} else {
			buf_add(segment, at, 1);
		}
	}
}

const char *place_path(struct arena *a, const char *pointer)
{
	AUTO_BUF struct buf path = {0}, segment = {0};
	/* the members of these two are named by their users, and may be named like numbers */
	bool named = !strncmp(pointer, "/networks/", 10) || !strncmp(pointer, "/ips/", 5);
	const char *end = pointer + strlen(pointer);

	if (end > pointer && end[-1] == '#')
		end--;
	for (uint32_t depth = 0; pointer < end; depth++) {
		const char *slash = memchr(pointer + 1, '/', (size_t)(end - pointer - 1));
		const char *stop = slash ? slash : end;

		take_segment(&segment, pointer + 1, stop);
		if (is_index(buf_text(&segment)) && !(named && depth == 1)) {
			buf_printf(&path, "[%s]", buf_text(&segment));
		} else if (is_identifier(buf_text(&segment))) {
			buf_printf(&path, "%s%s", path.len ? "." : "", buf_text(&segment));
		} else {
			buf_puts(&path, "[");
			buf_json_string(&path, buf_text(&segment));
			buf_puts(&path, "]");
		}
		pointer = stop;
	}
	return arena_strdup(a, buf_text(&path));
}

struct diag *diag_at(struct diags *d, enum severity severity, const char *pointer,
		     const char *format, ...)
{
	const char *text;
	va_list args;

	va_start(args, format);
	text = arena_vprintf(d->arena, format, args);
	va_end(args);
	return diag_add(d, severity, place_path(d->arena, pointer), pointer, "%s", text);
}

static const char *with_field(struct arena *a, struct buf *pointer, const char *field)
{
	if (field)
		buf_printf(pointer, "/%s", field);
	return arena_strdup(a, buf_text(pointer));
}

const char *place_of(struct arena *a, const char *collection, const char *key, const char *field)
{
	AUTO_BUF struct buf pointer = {0};

	place_add_key(&pointer, collection);
	place_add_key(&pointer, key);
	return with_field(a, &pointer, field);
}

const char *place_of_policy(struct arena *a, uint32_t i, const char *field)
{
	AUTO_BUF struct buf pointer = {0};

	place_add_key(&pointer, "policies");
	place_add_index(&pointer, i);
	return with_field(a, &pointer, field);
}
