/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all decoders use: diagnostics, and the table of names. */
#include "core/config/impl.h"

#include <string.h>

/* --- saying what is wrong --- */

void wrong_type(struct decoder *d, uint32_t node, const char *expected)
{
	wrong(d, node, "expected %s, found %s", expected, json_type_name(json_of(d), node));
	pass_over(d, node);
}

void refuse_doubled(struct decoder *d, uint32_t object)
{
	json_duplicate_list found = {0};

	json_find_duplicates(&found, d->scratch, &d->text->json, object);
	list_each (twice, &found)
		wrong(d, twice->key, "duplicate key, first on line %u; remove one of the two",
		      json_of(d)->nodes[twice->first].line);
}

void pass_over(struct decoder *d, uint32_t node)
{
	for (uint32_t i = node; i < json_behind(json_of(d), node); i++)
		if (json_type_of(json_of(d), i) == JSON_TYPE_OBJECT)
			refuse_doubled(d, i);
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
		list_add(d->scratch, &d->names); /* number 0 means "no name" */
	*slot = (struct name){arena_strndup(d->a, text, len), hash, (uint32_t)len, d->names.n};
	*list_add(d->scratch, &d->names) = slot->text;
	return slot;
}
