/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config/place.h"

#include "base/buf.h"

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

const char *path_of_declared(struct arena *a, const char *collection, const char *key)
{
	AUTO_BUF struct buf path = {0};

	json_path_key(&path, collection);
	json_path_key(&path, key);
	return arena_strdup(a, buf_text(&path));
}

static const char *const sections[] = {[SECTION_NETWORKS] = "networks",
				       [SECTION_IPS] = "ips",
				       [SECTION_POLICIES] = "policies",
				       [SECTION_TESTS] = "tests"};

/*
 * Appends the path of the declaration that contains the node, or whose key it is; returns its node.
 * 0: none does.
 */
static uint32_t add_declared(struct buf *path, const struct config_text *text, uint32_t node)
{
	for (enum section s = SECTION_NETWORKS; s < N_SECTIONS; s++) {
		bool keyed = s < SECTION_POLICIES;
		const uint32_t *nodes = text->declared[s].items;
		uint32_t behind =
			first_not_before(text->declared[s].n, i, nodes[i] - keyed <= node);

		if (!behind || json_behind(&text->json, nodes[behind - 1]) <= node)
			continue;
		buf_puts(path, sections[s]);
		if (keyed)
			json_path_key_node(path, &text->json, node_of_key(nodes[behind - 1]));
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

	if (node >= declared) /* not the key itself */
		json_path_way(&path, &text->json, text->steps, declared, node);
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

const char *place_of_policy(struct arena *a, const char *file, const struct config_text *text,
			    uint32_t policy)
{
	uint32_t at = text->json.nodes[node_of_policy(text, policy, NULL)].at;
	struct position p = position_of(text->json.text, text->len, at);

	return arena_printf(a, "policies[%u] (%s:%u:%u)", policy, file, p.line, p.column);
}
