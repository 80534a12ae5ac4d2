/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/saved.h"

#include "core/iptables/iptables.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 64 << 20 };

/* --- reading --- */

static void decode_before(struct saved *s, const json_t *before)
{
	const json_t *forward = json_object_get(before, "ip_forward");
	const char *policy = json_string_value(json_object_get(before, "forward_policy"));
	const char *variant = json_string_value(json_object_get(before, "variant"));

	s->forwarding_was_off = json_is_integer(forward) && !json_integer_value(forward);
	for (size_t i = VARIANT_NFT; variant && i <= VARIANT_LEGACY; i++)
		if (!strcmp(variant, variant_names[i]))
			s->variant = (enum variant)i;
	s->policy_was_accept = policy && !strcmp(policy, "ACCEPT") && s->variant;
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool decode_containers(struct saved *s, const json_t *names, struct error *err)
{
	const json_t *name;
	size_t i;

	if (names && !json_is_array(names))
		return error_set(err, -1, "containers is no list");
	json_array_foreach (names, i, name) {
		if (!json_is_string(name))
			return error_set(err, -1, "containers[%zu] is no text", i);
		*list_add(&s->arena, &s->containers) =
			arena_strdup(&s->arena, json_string_value(name));
	}
	if (s->containers.n)
		qsort(s->containers.items, s->containers.n, sizeof(*s->containers.items), by_text);
	return true;
}

/* The text of a member, in the arena; NULL where it is none. */
static const char *text_of(struct saved *s, const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? arena_strdup(&s->arena, text) : NULL;
}

/* The settings of a connection or network, as text again; NULL where they are no object. */
static const char *settings_of(struct saved *s, const json_t *object)
{
	const json_t *settings = json_object_get(object, "settings");
	char *text = json_is_object(settings) ? json_dumps(settings, JSON_COMPACT) : NULL;
	const char *kept = text ? arena_strdup(&s->arena, text) : NULL;

	free(text);
	return kept;
}

static bool decode_connections(struct saved *s, const json_t *list, struct error *err)
{
	const json_t *item;
	size_t i;

	if (list && !json_is_array(list))
		return error_set(err, -1, "connections is no list");
	json_array_foreach (list, i, item) {
		struct kept_endpoint k = {.container_id = text_of(s, item, "container"),
					  .container = text_of(s, item, "name"),
					  .network = text_of(s, item, "network")};
		const char *settings = settings_of(s, item);

		if (!k.container_id || !k.container || !k.network || !settings ||
		    !engine_take_settings(&k, settings))
			return error_set(err, -1, "connections[%zu] is no connection", i);
		*list_add(&s->arena, &s->connections) = k;
	}
	return true;
}

static bool decode_networks(struct saved *s, const json_t *list, struct error *err)
{
	const json_t *item;
	size_t i;

	if (list && !json_is_array(list))
		return error_set(err, -1, "networks is no list");
	json_array_foreach (list, i, item) {
		struct kept_network k = {text_of(s, item, "name"), settings_of(s, item)};

		if (!k.name || !k.settings)
			return error_set(err, -1, "networks[%zu] is no network", i);
		*list_add(&s->arena, &s->networks) = k;
	}
	return true;
}

static bool decode(struct saved *s, const struct buf *text, struct error *err)
{
	json_error_t where;
	json_t *root = json_loadb(buf_text(text), text->len, 0, &where);
	bool ok;

	if (!root)
		return error_set(err, -1, "line %d, column %d: %s", where.line, where.column,
				 where.text);
	decode_before(s, json_object_get(root, "before"));
	ok = (json_is_object(root) || error_set(err, -1, "it is no object")) &&
	     decode_containers(s, json_object_get(root, "containers"), err) &&
	     decode_connections(s, json_object_get(root, "connections"), err) &&
	     decode_networks(s, json_object_get(root, "networks"), err);
	json_decref(root);
	return ok;
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
		return; /* what is known is newer than what could be written */
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
	s->trouble = arena_printf(&s->arena,
				  "%s can't be read (%s); mend it, or remove it to go on without "
				  "what it remembers",
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
	buf_puts(text, "{\"version\": 1,\n \"before\": {");
	if (s->forwarding_was_off)
		buf_puts(text, "\"ip_forward\": 0");
	if (s->policy_was_accept)
		buf_printf(text, "%s\"forward_policy\": \"ACCEPT\", \"variant\": \"%s\"",
			   s->forwarding_was_off ? ", " : "", variant_names[s->variant]);
	buf_puts(text, "}");
}

static void print_member(struct buf *text, const char *before, const char *name, const char *value)
{
	buf_printf(text, "%s\"%s\": ", before, name);
	buf_json_string(text, value);
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
		print_member(text, k == s->connections.items ? "\n  {" : ",\n  {", "container",
			     k->container_id);
		print_member(text, ", ", "name", k->container);
		print_member(text, ", ", "network", k->network);
		buf_printf(text, ", \"settings\": %s}", k->settings);
	}
	buf_puts(text, "],\n \"networks\": [");
	list_each (k, &s->networks) {
		print_member(text, k == s->networks.items ? "\n  {" : ",\n  {", "name", k->name);
		buf_printf(text, ", \"settings\": %s}", k->settings);
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

bool saved_remember_forwarding(struct saved *s, struct error *err)
{
	if (s->forwarding_was_off)
		return true;
	s->forwarding_was_off = s->dirty = true;
	if (saved_write(s, err))
		return true;
	s->forwarding_was_off = false;
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

/* Known from now on, whether it could be written or not. */
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

/* --- what is taken away --- */

static struct kept_endpoint *find_connection(const struct saved *s, const char *container_id,
					     const char *network)
{
	list_each (k, &s->connections)
		if (!strcmp(k->container_id, container_id) && !strcmp(k->network, network))
			return k;
	return NULL;
}

const struct kept_endpoint *saved_find_connection(const struct saved *s, const char *container_id,
						  const char *network)
{
	return find_connection(s, container_id, network);
}

void saved_keep_connection(struct saved *s, const struct kept_endpoint *connection)
{
	struct kept_endpoint *k = find_connection(s, connection->container_id, connection->network);

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
	struct kept_endpoint *k = find_connection(s, container_id, network);

	if (!k)
		return;
	*k = s->connections.items[--s->connections.n];
	s->dirty = true;
}

static struct kept_network *find_network(const struct saved *s, const char *name)
{
	list_each (k, &s->networks)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

const struct kept_network *saved_find_network(const struct saved *s, const char *name)
{
	return find_network(s, name);
}

void saved_keep_network(struct saved *s, const struct kept_network *network)
{
	struct kept_network *k = find_network(s, network->name);

	k = k ? k : list_add(&s->arena, &s->networks);
	k->name = arena_strdup(&s->arena, network->name);
	k->settings = arena_strdup(&s->arena, network->settings);
	s->dirty = true;
}

void saved_drop_network(struct saved *s, const char *name)
{
	struct kept_network *k = find_network(s, name);

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
