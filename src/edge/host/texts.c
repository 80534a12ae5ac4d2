/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/host/texts.h"

#include "base/hash.h"
#include "core/config/place.h"
#include "edge/host/file.h"

#include <stdlib.h>
#include <string.h>

void texts_free(struct texts *t)
{
	buf_free(&t->bytes);
	*t = (struct texts){0};
}

/* "/etc/harborwall/office.txt", spelled as close as possible to how the configuration was named. */
static const char *path_of_list(struct arena *a, const char *config, const char *name)
{
	const char *slash = strrchr(config, '/');

	return slash ? arena_printf(a, "%.*s/%s", (int)(slash - config), config, name) : name;
}

static void add_list(struct texts *t, char kind, const char *name, const char *text, size_t len)
{
	buf_add(&t->bytes, "", 1);
	buf_printf(&t->bytes, "%c%s", kind, name);
	buf_add(&t->bytes, "", 1);
	buf_printf(&t->bytes, "%zu", len);
	buf_add(&t->bytes, "", 1);
	buf_add(&t->bytes, text, len);
}

static void read_list(struct texts *t, size_t *left, const char *name, const char *path,
		      int pipe_ms)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	if (!file_read_within(&text, path, *left, pipe_ms, &err)) {
		add_list(t, '-', name, err.text, strlen(err.text));
		return;
	}
	*left -= text.len;
	add_list(t, '+', name, buf_text(&text), text.len);
}

/* Some string begins with "@", maybe as an escape. */
static bool may_name_lists(const char *text, size_t len)
{
	static const char escaped[] = "\\u0040";
	const char *end = text + len;

	for (const char *at = text; (at = memchr(at, '@', (size_t)(end - at))); at++)
		if (at > text && at[-1] == '"')
			return true;
	for (const char *at = text; (at = memchr(at, '\\', (size_t)(end - at))); at++)
		if (!strncmp(at, escaped, strlen(escaped)))
			return true;
	return false;
}

bool texts_read(struct texts *t, const char *path, int pipe_ms, struct error *err)
{
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	AUTO_RELEASE struct arena a = {0};
	struct diags diags = {.arena = &a};
	size_t left = CONFIG_MAX_BYTES;
	name_list names = {0};

	if (!file_read_within(&t->bytes, path, CONFIG_MAX_BYTES, pipe_ms, err))
		return false;
	t->len = t->bytes.len;
	/* few files name a list, and the others need no parsing here */
	if (!may_name_lists(buf_text(&t->bytes), t->len))
		return true;
	if (!config_parse(&kept, &diags, buf_text(&t->bytes), t->len))
		return true;
	config_list_files(&names, &a, &kept);
	list_each (name, &names)
		read_list(t, &left, *name, path_of_list(&a, path, *name), pipe_ms);
	return true;
}

uint64_t texts_digest(const struct texts *t)
{
	return hash_large(buf_text(&t->bytes), t->bytes.len);
}

void texts_split(struct texts *t)
{
	t->len = strlen(buf_text(&t->bytes));
}

void texts_lists(list_files *files, struct arena *a, const struct texts *t, const char *path)
{
	const char *at = buf_text(&t->bytes) + t->len, *end = buf_text(&t->bytes) + t->bytes.len;

	while (end - at >= 2 && !*at) {
		struct list_file file = {.name = at + 2};
		const char *length = file.name + strlen(file.name) + 1;
		const char *text = length < end ? length + strlen(length) + 1 : end;
		size_t len = length < end ? (size_t)strtoull(length, NULL, 10) : 0;

		if (text > end || len > (size_t)(end - text))
			return;
		file.path = path_of_list(a, path, file.name);
		if (at[1] == '+') {
			file.text = text;
			file.len = len;
		} else {
			file.text = "";
			file.trouble = arena_strndup(a, text, len);
		}
		*list_add(a, files) = file;
		at = text + len;
	}
}
