/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/json/builder.h"

#include "base/foreign.h"

#include <string.h>

/* --- values of a parsed text --- */

/* Writes the opening bracket, or the whole scalar. */
static void write_begin(struct buf *out, const struct json *json, uint32_t node)
{
	const struct json_node *n = &json->nodes[node];

	if (n->type == JSON_TYPE_OBJECT)
		buf_puts(out, "{");
	else if (n->type == JSON_TYPE_LIST)
		buf_puts(out, "[");
	else
		buf_add(out, json->text + n->at, n->extent);
}

void json_write(struct buf *out, const struct json *json, uint32_t node)
{
	bool keyed = json_type_of(json, node) == JSON_TYPE_OBJECT;
	const char *comma = "";

	write_begin(out, json, node);
	if (json_type_of(json, node) < JSON_TYPE_LIST)
		return;
	for (uint32_t i = node + 1; i < json_behind(json, node); i = json_behind(json, i + keyed)) {
		buf_puts(out, comma);
		comma = ",";
		if (keyed)
			write_begin(out, json, i);
		buf_puts(out, keyed ? ":" : "");
		json_write(out, json, i + keyed); /* recursion as deep as the text is nested */
	}
	buf_puts(out, keyed ? "}" : "]");
}

const char *json_text(struct arena *a, const struct json *json, uint32_t node)
{
	AUTO_BUF struct buf text = {0};

	json_write(&text, json, node);
	return arena_strndup(a, text.data, text.len);
}

/* --- drafts --- */

static bool is_named(const struct json_member *m, const char *name)
{
	return m->name.len == strlen(name) && !memcmp(m->name.text, name, m->name.len);
}

/* Copies the members of a parsed object. */
static void json_builder_take(struct json_builder *draft, const struct json *json, uint32_t object)
{
	json_each_member (key, json, object) {
		struct json_string name = json_string_of(json, key, draft->a);

		*list_add(draft->a, &draft->members) = (struct json_member){
			.name = {arena_strndup(draft->a, name.text, name.len), name.len},
			.key = json_text(draft->a, json, key),
			.value = json_text(draft->a, json, key + 1)};
	}
}

struct json_builder json_builder_of(struct arena *a, const char *text)
{
	AUTO_RELEASE struct arena tree = {0};
	struct json_builder draft = {.a = a};
	struct json_error wrong;
	struct json json;

	if (text && json_parse(&json, &tree, text, strlen(text), JSON_MAX_DEPTH, &wrong) &&
	    json_type_of(&json, JSON_ROOT) == JSON_TYPE_OBJECT)
		json_builder_take(&draft, &json, JSON_ROOT);
	return draft;
}

const char *json_builder_get(const struct json_builder *draft, const char *name)
{
	const char *value = NULL;

	list_each (m, &draft->members)
		if (is_named(m, name))
			value = m->value;
	return value;
}

void json_builder_remove(struct json_builder *draft, const char *name)
{
	uint32_t kept = 0;

	list_each (m, &draft->members)
		if (!is_named(m, name))
			draft->members.items[kept++] = *m;
	draft->members.n = kept;
}

void json_builder_set(struct json_builder *draft, const char *name, const char *value)
{
	AUTO_BUF struct buf key = {0};

	json_builder_remove(draft, name);
	buf_json_string(&key, name);
	*list_add(draft->a, &draft->members) =
		(struct json_member){.name = {arena_strdup(draft->a, name), strlen(name)},
				     .key = arena_strdup(draft->a, buf_text(&key)),
				     .value = arena_strdup(draft->a, value)};
}

void json_builder_set_string(struct json_builder *draft, const char *name, const char *text)
{
	AUTO_BUF struct buf value = {0};

	buf_json_string(&value, text);
	json_builder_set(draft, name, buf_text(&value));
}

void json_builder_set_object(struct json_builder *draft, const char *name,
			     const struct json_builder *value)
{
	AUTO_BUF struct buf text = {0};

	json_builder_write(&text, value);
	json_builder_set(draft, name, buf_text(&text));
}

void json_builder_write(struct buf *out, const struct json_builder *draft)
{
	buf_puts(out, "{");
	list_each (m, &draft->members) {
		buf_puts(out, m == draft->members.items ? "" : ",");
		buf_puts(out, m->key);
		buf_puts(out, ":");
		buf_puts(out, m->value);
	}
	buf_puts(out, "}");
}
