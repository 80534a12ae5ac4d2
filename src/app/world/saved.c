/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/world/saved.h"

#include "base/diag.h"
#include "base/foreign.h"
#include "core/json/builder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 64 << 20 };

/* --- reading --- */

/* The state file's text while it is read. */
struct reading {
	struct saved *s;
	struct json json;
	size_t len;
	struct error *err;
};

static bool wrong_at(const struct reading *r, size_t at, const char *what)
{
	struct position p = position_of(r->json.text, r->len, at);

	return error_set(r->err, -1, "line %u, column %u: %s", p.line, p.column, what);
}

static bool wrong_type(const struct reading *r, uint32_t node, const char *expected)
{
	AUTO_BUF struct buf what = {0};

	buf_printf(&what, "expected %s, found %s", expected, json_type_name(&r->json, node));
	return wrong_at(r, r->json.nodes[node].at, buf_text(&what));
}

static bool member_is(const struct reading *r, uint32_t object, const char *key, const char *text)
{
	uint32_t node = json_member(&r->json, object, key);

	return node != JSON_ROOT && json_string_is(&r->json, node, text, strlen(text));
}

static bool member_is_zero(const struct reading *r, uint32_t object, const char *key)
{
	uint32_t node = json_member(&r->json, object, key);
	int64_t number;

	return node != JSON_ROOT && json_integer_of(&number, &r->json, node) && !number;
}

static void decode_before(const struct reading *r, uint32_t before)
{
	struct saved *s = r->s;

	s->forwarding_was_off = member_is_zero(r, before, "ip_forward");
	s->forwarding6_was_off = member_is_zero(r, before, "ip6_forward");
	for (size_t i = VARIANT_NFT; i <= VARIANT_LEGACY; i++)
		if (member_is(r, before, "variant", variant_names[i]))
			s->variant = (enum variant)i;
	s->policy_was_accept = member_is(r, before, "forward_policy", "ACCEPT") && s->variant;
}

static bool wrong_item(const struct reading *r, uint32_t node, const char *what)
{
	return wrong_at(r, r->json.nodes[node].at, what);
}

/* A string, copied into the arena of the saved state. */
static bool take_string(const char **text, const struct reading *r, uint32_t node)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct json_string s = json_string_of(&r->json, node, &scratch);

	if (!s.text)
		return wrong_type(r, node, "a string");
	if (memchr(s.text, '\0', s.len))
		return wrong_item(r, node, "a NUL character in a name");
	*text = arena_strndup(&r->s->arena, s.text, s.len);
	return true;
}

static bool decode_container(const struct reading *r, uint32_t node)
{
	return take_string(list_add(&r->s->arena, &r->s->containers), r, node);
}

static bool take_member(const char **text, const struct reading *r, uint32_t object,
			const char *name)
{
	uint32_t node = json_member(&r->json, object, name);

	return node == JSON_ROOT ? wrong_item(r, object, "a name is missing here")
				 : take_string(text, r, node);
}

/* The settings of a connection or network, as JSON text. */
static bool take_settings(const char **text, const struct reading *r, uint32_t object)
{
	uint32_t node = json_member(&r->json, object, "settings");

	if (node == JSON_ROOT || json_type_of(&r->json, node) != JSON_TYPE_OBJECT)
		return wrong_item(r, object, "settings are missing here");
	*text = json_text(&r->s->arena, &r->json, node);
	return true;
}

static bool decode_connection(const struct reading *r, uint32_t node)
{
	struct kept_endpoint *k = list_add(&r->s->arena, &r->s->connections);
	const char *settings = NULL;

	return take_member(&k->container_id, r, node, "container") &&
	       take_member(&k->container, r, node, "name") &&
	       take_member(&k->network, r, node, "network") && take_settings(&settings, r, node) &&
	       (engine_take_settings(k, settings) ||
		wrong_item(r, node, "these settings are no connection's"));
}

static bool decode_network(const struct reading *r, uint32_t node)
{
	struct kept_network *k = list_add(&r->s->arena, &r->s->networks);

	return take_member(&k->name, r, node, "name") && take_settings(&k->settings, r, node);
}

static bool decode_bridge(const struct reading *r, uint32_t node)
{
	struct network_bridge *b = list_add(&r->s->arena, &r->s->bridges);

	return take_member(&b->network, r, node, "network") &&
	       take_member(&b->bridge, r, node, "bridge");
}

static bool decode_list(const struct reading *r, const char *name,
			bool (*decode_item)(const struct reading *r, uint32_t node))
{
	uint32_t list = json_member(&r->json, JSON_ROOT, name);

	if (list == JSON_ROOT)
		return true;
	if (json_type_of(&r->json, list) != JSON_TYPE_LIST)
		return wrong_type(r, list, "a list");
	json_each (item, &r->json, list)
		if (!decode_item(r, item))
			return false;
	return true;
}

static bool decode(struct saved *s, const struct buf *text, struct error *err)
{
	AUTO_RELEASE struct arena tree = {0};
	struct reading r = {.s = s, .len = text->len, .err = err};
	struct json_error wrong;
	uint32_t before;

	if (!json_parse(&r.json, &tree, buf_text(text), text->len, JSON_MAX_DEPTH, &wrong))
		return wrong_at(&r, wrong.at, wrong.what);
	if (json_type_of(&r.json, JSON_ROOT) != JSON_TYPE_OBJECT)
		return wrong_type(&r, JSON_ROOT, "an object");
	before = json_member(&r.json, JSON_ROOT, "before");
	if (before != JSON_ROOT)
		decode_before(&r, before);
	if (!decode_list(&r, "containers", decode_container) ||
	    !decode_list(&r, "connections", decode_connection) ||
	    !decode_list(&r, "networks", decode_network) ||
	    !decode_list(&r, "bridges", decode_bridge)) {
		/* drop an item that was read by half */
		s->containers.n = s->connections.n = s->networks.n = s->bridges.n = 0;
		return false;
	}
	if (s->containers.n)
		qsort(s->containers.items, s->containers.n, sizeof(*s->containers.items),
		      text_order);
	return true;
}

static bool is_same_file(const struct file_mark *a, const struct file_mark *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed_ns == b->changed_ns;
}

void saved_refresh(struct saved *s)
{
	struct file_mark mark = file_mark(s->path);
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	if (s->dirty && !s->trouble)
		return; /* memory is newer than the file, which could not be written */
	if (access(s->path, F_OK) < 0 && errno == ENOENT) {
		if (s->trouble)
			saved_release(s);
		return;
	}
	if (mark.inode && is_same_file(&mark, &s->mark))
		return;
	saved_release(s);
	s->mark = mark;
	if (file_read(&text, s->path, MAX_BYTES, &err) && decode(s, &text, &err))
		return;
	s->trouble = arena_printf(
		&s->arena,
		"%s can't be read (%s); repair it, or remove it to go on without what it holds",
		s->path, err.text);
}

void saved_release(struct saved *s)
{
	arena_release(&s->arena);
	*s = (struct saved){.path = s->path};
}

/* --- writing --- */

static void print_before(struct buf *text, const struct saved *s)
{
	const char *comma = "";

	buf_puts(text, "{\"version\": 1,\n \"before\": {");
	if (s->forwarding_was_off) {
		buf_puts(text, "\"ip_forward\": 0");
		comma = ", ";
	}
	if (s->forwarding6_was_off) {
		buf_printf(text, "%s\"ip6_forward\": 0", comma);
		comma = ", ";
	}
	if (s->policy_was_accept)
		buf_printf(text, "%s\"forward_policy\": \"ACCEPT\", \"variant\": \"%s\"", comma,
			   variant_names[s->variant]);
	buf_puts(text, "}");
}

static void print_state(struct buf *text, const struct saved *s)
{
	print_before(text, s);
	buf_puts(text, ",\n \"containers\": [");
	list_each (name, &s->containers) {
		buf_puts(text, name == s->containers.items ? "" : ", ");
		buf_json_string(text, *name);
	}
	buf_puts(text, "],\n \"connections\": [");
	list_each (k, &s->connections) {
		buf_json_member(text, k == s->connections.items ? "\n  {" : ",\n  {", "container",
				k->container_id);
		buf_json_member(text, ", ", "name", k->container);
		buf_json_member(text, ", ", "network", k->network);
		buf_printf(text, ", \"settings\": %s}", k->settings);
	}
	buf_puts(text, "],\n \"networks\": [");
	list_each (k, &s->networks) {
		buf_json_member(text, k == s->networks.items ? "\n  {" : ",\n  {", "name", k->name);
		buf_printf(text, ", \"settings\": %s}", k->settings);
	}
	for (uint32_t i = 0; i < s->bridges.n; i++) {
		buf_json_member(text, i ? ",\n  {" : "],\n \"bridges\": [\n  {", "network",
				s->bridges.items[i].network);
		buf_json_member(text, ", ", "bridge", s->bridges.items[i].bridge);
		buf_puts(text, "}");
	}
	buf_puts(text, "]}\n");
}

bool saved_write(struct saved *s, struct error *err)
{
	AUTO_BUF struct buf text = {0};

	if (!s->dirty)
		return true;
	if (s->trouble)
		return error_set(err, -1, "%s", s->trouble);
	print_state(&text, s);
	s->dirty = !file_replace(s->path, text.data, text.len, 0600, err);
	return !s->dirty;
}

bool saved_remember_forwarding(struct saved *s, uint8_t family, struct error *err)
{
	bool *was_off = family == 6 ? &s->forwarding6_was_off : &s->forwarding_was_off;

	if (*was_off)
		return true;
	*was_off = s->dirty = true;
	if (saved_write(s, err))
		return true;
	*was_off = false;
	return false;
}

bool saved_remember_policy(struct saved *s, enum variant variant, struct error *err)
{
	if (s->policy_was_accept)
		return true;
	s->policy_was_accept = s->dirty = true;
	s->variant = variant;
	if (saved_write(s, err))
		return true;
	s->policy_was_accept = false;
	return false;
}

static bool same_names(const name_list *a, const name_list *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

/* It is known from now on, even if it could not be written. */
bool saved_remember_containers(struct saved *s, const name_list *names, struct error *err)
{
	name_list copy = {0};

	if (s->trouble || same_names(names, &s->containers))
		return true;
	list_each (name, names)
		*list_add(&s->arena, &copy) = arena_strdup(&s->arena, *name);
	s->containers = copy;
	s->dirty = true;
	return saved_write(s, err);
}

static bool same_bridges(const network_bridges *a, const network_bridges *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i].network, b->items[i].network) != 0 ||
		    strcmp(a->items[i].bridge, b->items[i].bridge) != 0)
			return false;
	return true;
}

bool saved_remember_bridges(struct saved *s, const network_bridges *bridges, struct error *err)
{
	network_bridges copy = {0};

	if (s->trouble || same_bridges(bridges, &s->bridges))
		return true;
	list_each (b, bridges)
		*list_add(&s->arena, &copy) = (struct network_bridge){
			arena_strdup(&s->arena, b->network), arena_strdup(&s->arena, b->bridge)};
	s->bridges = copy;
	s->dirty = true;
	return saved_write(s, err);
}

/* --- what is removed to be created again --- */

struct kept_endpoint *saved_find_connection(const struct saved *s, const char *container_id,
					    const char *network)
{
	list_each (k, &s->connections)
		if (!strcmp(k->container_id, container_id) && !strcmp(k->network, network))
			return k;
	return NULL;
}

void saved_keep_connection(struct saved *s, const struct kept_endpoint *connection)
{
	struct kept_endpoint *k =
		saved_find_connection(s, connection->container_id, connection->network);

	k = k ? k : list_add(&s->arena, &s->connections);
	*k = *connection;
	k->container_id = arena_strdup(&s->arena, connection->container_id);
	k->container = arena_strdup(&s->arena, connection->container);
	k->network = arena_strdup(&s->arena, connection->network);
	k->settings = arena_strdup(&s->arena, connection->settings);
	s->dirty = true;
}

void saved_drop_connection(struct saved *s, const char *container_id, const char *network)
{
	struct kept_endpoint *k = saved_find_connection(s, container_id, network);

	if (!k)
		return;
	*k = s->connections.items[--s->connections.n];
	s->dirty = true;
}

struct kept_network *saved_find_network(const struct saved *s, const char *name)
{
	list_each (k, &s->networks)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

void saved_keep_network(struct saved *s, const struct kept_network *network)
{
	struct kept_network *k = saved_find_network(s, network->name);

	k = k ? k : list_add(&s->arena, &s->networks);
	k->name = arena_strdup(&s->arena, network->name);
	k->settings = arena_strdup(&s->arena, network->settings);
	s->dirty = true;
}

void saved_drop_network(struct saved *s, const char *name)
{
	struct kept_network *k = saved_find_network(s, name);

	if (!k)
		return;
	*k = s->networks.items[--s->networks.n];
	s->dirty = true;
}

bool saved_forget(const struct saved *s, struct error *err)
{
	struct saved rest = {.path = s->path, .dirty = true};

	if (s->connections.n || s->networks.n) {
		memcpy(&rest.connections, &s->connections, sizeof(rest.connections));
		memcpy(&rest.networks, &s->networks, sizeof(rest.networks));
		return saved_write(&rest, err);
	}
	if (unlink(s->path) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove %s", s->path);
	return true;
}
