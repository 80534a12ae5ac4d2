/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config/place.h"

#include "base/buf.h"

#include <ctype.h>
#include <string.h>

void config_text_release(struct config_text *text)
{
	arena_release(&text->arena);
	*text = (struct config_text){0};
}

uint32_t node_of_field(const struct config_text *text, uint32_t object, const char *field)
{
	uint32_t node = json_member(&text->json, object, field);

	return node ? node : object;
}

uint32_t node_of_policy(const struct config_text *text, uint32_t policy, const char *field)
{
	uint32_t node = text->declared[SECTION_POLICIES].items[policy];

	return field ? node_of_field(text, node, field) : node;
}

/* --- paths --- */

static bool is_identifier(const char *text)
{
	if (!isalpha((unsigned char)*text) && *text != '_')
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && *text != '_' && *text != '-')
			return false;
	return true;
}

static void add_key(struct buf *path, const char *key)
{
	if (is_identifier(key)) {
		buf_printf(path, "%s%s", path->len ? "." : "", key);
		return;
	}
	buf_puts(path, "[");
	buf_json_string(path, key);
	buf_puts(path, "]");
}

static void add_key_node(struct buf *path, const struct config_text *text, uint32_t node)
{
	AUTO_RELEASE struct arena a = {0};
	struct json_string key = json_string_of(&text->json, node, &a);

	add_key(path, arena_strndup(&a, key.text, key.len));
}

const char *path_of_declared(struct arena *a, const char *collection, const char *key)
{
	AUTO_BUF struct buf path = {0};

	add_key(&path, collection);
	add_key(&path, key);
	return arena_strdup(a, buf_text(&path));
}

/* Behind an item of a list, or a key of an object and its value. */
static uint32_t behind_item(const struct json *json, uint32_t item, bool is_key)
{
	return json_behind(json, item + is_key);
}

/* Appends the way from one node to one inside it. */
static void add_way(struct buf *path, struct config_text *text, uint32_t from, uint32_t to)
{
	const struct json *json = &text->json;

	for (struct path_step *step = text->steps; from != to; step++) {
		bool object = json_type_of(json, from) == JSON_TYPE_OBJECT;

		if (step->container != from || !step->item || step->item > to)
			*step = (struct path_step){from, from + 1, 0};
		for (; behind_item(json, step->item, object) <= to; step->index++)
			step->item = behind_item(json, step->item, object);
		if (object)
			add_key_node(path, text, step->item);
		else
			buf_printf(path, "[%u]", step->index);
		if (step->item == to) /* also where it is a key */
			return;
		from = step->item + object;
	}
}

static const char *const sections[] = {
	[SECTION_NETWORKS] = "networks", [SECTION_IPS] = "ips", [SECTION_POLICIES] = "policies"};

/* The declaration that the node is part of, its key too, becomes the path; 0: it is in none. */
static uint32_t add_declared(struct buf *path, const struct config_text *text, uint32_t node)
{
	for (enum section s = SECTION_NETWORKS; s < N_SECTIONS; s++) {
		bool keyed = s != SECTION_POLICIES;
		const uint32_t *nodes = text->declared[s].items;
		uint32_t behind =
			first_not_before(text->declared[s].n, i, nodes[i] - keyed <= node);

		if (!behind || json_behind(&text->json, nodes[behind - 1]) <= node)
			continue;
		buf_puts(path, sections[s]);
		if (keyed)
			add_key_node(path, text, node_of_key(nodes[behind - 1]));
		else
			buf_printf(path, "[%u]", behind - 1);
		return nodes[behind - 1];
	}
	return 0;
}

static const char *path_of(struct arena *a, struct config_text *text, uint32_t node)
{
	AUTO_BUF struct buf path = {0};
	uint32_t declared = add_declared(&path, text, node);

	if (node >= declared) /* it is not its key */
		add_way(&path, text, declared, node);
	return arena_strdup(a, buf_text(&path));
}

struct diag *diag_at(struct diags *d, enum severity severity, struct config_text *text,
		     uint32_t node, const char *format, ...)
{
	const char *message;
	va_list args;

	va_start(args, format);
	message = arena_vprintf(d->arena, format, args);
	va_end(args);
	return diag_add(d, severity, text->json.nodes[node].at, path_of(d->arena, text, node), "%s",
			message);
}
