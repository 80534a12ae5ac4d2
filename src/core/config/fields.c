/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config/fields.h"

#include <string.h>

static bool is_text(struct json_string s, const char *text, size_t len)
{
	return s.text && s.len == len && !memcmp(s.text, text, len);
}

bool is_users_key(struct json_string key)
{
	static const char schema[] = "$schema";

	return (key.len && key.text[0] == '_') ||
	       (key.len > 1 && key.text[0] == 'x' && key.text[1] == '-') ||
	       is_text(key, schema, sizeof(schema) - 1);
}

static void refuse_key(struct decoder *d, struct reading *r, uint32_t node, struct json_string key)
{
	const struct field *fields = r->kind->fields;
	uint32_t near = nearest(arena_strndup(d->scratch, key.text, key.len), fields,
				sizeof(*fields), r->kind->n);

	if (near == NONE) {
		wrong(d, node,
		      "unknown key; remove it, or put \"x-\" before it if it is a comment");
		return;
	}
	r->given |= 1u << near;
	wrong(d, node, "unknown key (did you mean \"%s\"?)", fields[near].name);
}

/*
 * Looks for duplicate keys only if there may be some: a repeated field, or a key that is no field.
 * The first of them counts.
 */
static bool is_doubled(struct decoder *d, struct reading *r, uint32_t object, uint32_t key)
{
	if (!r->looked)
		refuse_doubled(d, object);
	r->looked = true;
	return json_of(d)->nodes[key].doubled;
}

/*
 * Objects of a kind mostly have their fields in the same order, so the search begins after the last
 * match.
 */
static uint32_t find_field(const struct reading *r, struct json_string key)
{
	const struct kind *kind = r->kind;

	for (uint32_t n = 0, i = r->next; n < kind->n; n++, i = i + 1 < kind->n ? i + 1 : 0)
		if (is_text(key, kind->fields[i].name, kind->fields[i].len))
			return i;
	return NONE;
}

static void decode_member(struct decoder *d, struct reading *r, uint32_t object, uint32_t node,
			  void *record)
{
	struct json_string key = string_of(d, node);
	uint32_t i = find_field(r, key);

	if ((i == NONE || is_given(r, i)) && is_doubled(d, r, object, node))
		return;
	if (i != NONE) {
		const struct field *field = &r->kind->fields[i];

		r->next = i + 1 < r->kind->n ? i + 1 : 0;
		r->given |= 1u << i;
		r->idle |= (uint8_t)~field->effect;
		field->decode(d, node + 1, (char *)record + field->offset);
		return;
	}
	if (!is_users_key(key))
		refuse_key(d, r, node, key);
	pass_over(d, node + 1);
}

bool decode_object(struct decoder *d, struct reading *r, uint32_t node, void *record)
{
	if (json_type_of(json_of(d), node) != JSON_TYPE_OBJECT) {
		wrong_type(d, node, "an object");
		return false;
	}
	each_member (key, d, node)
		decode_member(d, r, node, key, record);
	return true;
}

void refuse_without_effect(struct decoder *d, const struct reading *r, uint32_t object,
			   uint8_t where, const char *why)
{
	if (!(r->idle & where))
		return;
	for (uint32_t set = r->given; set; set &= set - 1) {
		const struct field *field = &r->kind->fields[__builtin_ctz(set)];

		if (!(field->effect & where))
			wrong_key(d, json_member(json_of(d), object, field->name), "no effect %s",
				  why);
	}
}
