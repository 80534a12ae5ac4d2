/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a node stands, as people write it: policies[3].port, ips["172.18.103.2"].ip. */
#include "core/json/path.h"

#include "base/foreign.h"

#include <ctype.h>
#include <string.h>

static bool is_identifier(const char *text)
{
	if (!isalpha((unsigned char)*text) && *text != '_')
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && *text != '_' && *text != '-')
			return false;
	return true;
}

void json_path_key(struct buf *path, const char *key)
{
	if (is_identifier(key)) {
		buf_printf(path, "%s%s", path->len ? "." : "", key);
		return;
	}
	buf_puts(path, "[");
	buf_json_string(path, key);
	buf_puts(path, "]");
}

void json_path_key_node(struct buf *path, const struct json *json, uint32_t key)
{
	AUTO_RELEASE struct arena a = {0};
	struct json_string name = json_string_of(json, key, &a);

	json_path_key(path, arena_strndup(&a, name.text, name.len));
}

/* Skips an item of a list, or a key and its value. */
static uint32_t behind_item(const struct json *json, uint32_t item, bool is_key)
{
	return json_behind(json, item + is_key);
}

void json_path_way(struct buf *path, const struct json *json, struct json_step *steps,
		   uint32_t from, uint32_t to)
{
	for (struct json_step *step = steps; from != to; step++) {
		bool object = json_type_of(json, from) == JSON_TYPE_OBJECT;

		if (step->container != from || !step->item || step->item > to)
			*step = (struct json_step){from, from + 1, 0};
		for (; behind_item(json, step->item, object) <= to; step->index++)
			step->item = behind_item(json, step->item, object);
		if (object)
			json_path_key_node(path, json, step->item);
		else
			buf_printf(path, "[%u]", step->index);
		if (step->item == to) /* also if `to` is a key */
			return;
		from = step->item + object;
	}
}
