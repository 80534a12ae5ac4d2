/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config/fields.h"

#include <string.h>

bool is_users_key(const char *key, size_t len)
{
	static const char schema[] = "$schema";

	return (len && key[0] == '_') || (len > 1 && key[0] == 'x' && key[1] == '-') ||
	       (len == sizeof(schema) - 1 && !memcmp(key, schema, len));
}

void decode_later(struct decoder *d, const struct json_value *json, void *target)
{
	(void)json;
	(void)target;
	d->odd = true; /* who knows how deep */
	wrong_key(d, "this comes in a later version; leave it out");
}

static void refuse_key(struct decoder *d, struct reading *r, const char *key)
{
	const struct field *fields = r->kind->fields;
	uint32_t near = nearest(key, fields, sizeof(*fields), r->kind->n);

	if (near == NONE) {
		wrong_key(d, "unknown key; remove it, or begin it with \"x-\" if it is a note of "
			     "yours");
		return;
	}
	r->given |= 1u << near;
	wrong_key(d, "unknown key (did you mean \"%s\"?)", fields[near].name);
}

/* A key that is no field's. */
static void take_other_key(struct decoder *d, struct reading *r, const struct json_member *member)
{
	const char *key;

	d->odd = true;
	if (is_users_key(member->key, member->len))
		return;
	key = arena_strndup(d->scratch, member->key, member->len);
	enter_key(d, key);
	refuse_key(d, r, key);
	leave(d);
}

/* Objects of a kind have their members in one order, mostly: the search begins where it left off.
 */
void decode_member(struct decoder *d, struct reading *r, const struct json_member *member,
		   void *record)
{
	const struct kind *kind = r->kind;

	for (size_t n = 0, i = r->next; n < kind->n; n++, i = i + 1 < kind->n ? i + 1 : 0) {
		const struct field *field = &kind->fields[i];

		if (field->len != member->len || memcmp(field->name, member->key, field->len) != 0)
			continue;
		r->next = i + 1 < kind->n ? i + 1 : 0;
		r->given |= 1u << i;
		r->idle |= (uint8_t)~field->effect;
		enter_key(d, field->name);
		field->decode(d, &member->value, (char *)record + field->offset);
		leave(d);
		return;
	}
	take_other_key(d, r, member);
}

bool decode_object(struct decoder *d, struct reading *r, const struct json_value *json,
		   void *record)
{
	struct json_members members = {.object = json};
	const struct json_member *member;

	if (json_value_type(json) != JSON_OBJECT) {
		wrong_type(d, json, "an object in braces");
		return false;
	}
	while ((member = json_members_next(&members)))
		decode_member(d, r, member, record);
	return true;
}

void refuse_without_effect(struct decoder *d, const struct reading *r, uint8_t where,
			   const char *why)
{
	if (!(r->idle & where))
		return;
	for (uint32_t set = r->given; set; set &= set - 1) {
		const struct field *field = &r->kind->fields[__builtin_ctz(set)];

		if (field->effect & where)
			continue;
		enter_key(d, field->name);
		wrong_key(d, "no effect %s", why);
		leave(d);
	}
}
