/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all decoders stand on: where in the file they are, what they say is wrong there, and the
 * names, each of which is kept once. A place becomes text only when there is something to say.
 */
#include "core/config/impl.h"

#include <string.h>

/* --- the place --- */

static void add_path(struct buf *pointer, const struct decoder *d)
{
	for (uint32_t i = 0; i < d->depth; i++)
		if (d->path[i].key)
			place_add_key(pointer, d->path[i].key);
		else
			place_add_index(pointer, d->path[i].index);
}

const char *place_here(const struct decoder *d)
{
	AUTO_BUF struct buf pointer = {0};

	add_path(&pointer, d);
	return arena_strdup(d->a, buf_text(&pointer));
}

const char *place_of_key_here(const struct decoder *d)
{
	AUTO_BUF struct buf pointer = {0};

	add_path(&pointer, d);
	buf_puts(&pointer, "#");
	return arena_strdup(d->a, buf_text(&pointer));
}

/* --- saying what is wrong --- */

static const char *type_name(const struct json_value *json)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "a list",
		[JSON_STRING] = "a text",
		[JSON_INTEGER] = "a number",
		[JSON_REAL] = "a number with a fraction or an exponent",
		[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",
		[JSON_NULL] = "null",
	};

	return names[json_value_type(json)];
}

void wrong_type(struct decoder *d, const struct json_value *json, const char *expected)
{
	d->odd = true;
	wrong(d, "this is %s; write %s", type_name(json), expected);
}

/* --- names --- */

static struct name *slot_of(struct decoder *d, const char *text, size_t len, uint64_t hash)
{
	struct name *slot;

	for (uint64_t i = hash;; i++) {
		slot = &d->table[i & (d->cap_table - 1)];
		if (!slot->text ||
		    (slot->hash == hash && slot->len == len && !memcmp(slot->text, text, len)))
			return slot;
	}
}

static void grow_names(struct decoder *d)
{
	struct name *old = d->table;
	uint32_t cap = d->cap_table;

	d->cap_table = cap ? 2 * cap : 1024;
	d->table = arena_array(d->scratch, struct name, d->cap_table);
	for (uint32_t i = 0; i < cap; i++)
		if (old[i].text)
			*slot_of(d, old[i].text, old[i].len, old[i].hash) = old[i];
}

const struct name *find_name(struct decoder *d, const char *text, size_t len)
{
	const struct name *slot =
		d->cap_table ? slot_of(d, text, len, hash_bytes(text, len)) : NULL;

	return slot && slot->text ? slot : NULL;
}

const struct name *keep_name(struct decoder *d, const char *text, size_t len)
{
	uint64_t hash = hash_bytes(text, len);
	struct name *slot;

	if (2 * d->names.n >= d->cap_table)
		grow_names(d);
	slot = slot_of(d, text, len, hash);
	if (slot->text)
		return slot;
	if (!d->names.n)
		list_add(d->scratch, &d->names); /* 0 is no name */
	*slot = (struct name){arena_strndup(d->a, text, len), hash, (uint32_t)len, d->names.n};
	*list_add(d->scratch, &d->names) = slot->text;
	return slot;
}
