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

static bool decode(struct saved *s, const struct buf *text, struct error *err)
{
	json_error_t where;
	json_t *root = json_loadb(buf_text(text), text->len, 0, &where);
	bool ok;

	if (!root)
		return error_set(err, -1, "line %d, column %d: %s", where.line, where.column,
				 where.text);
	decode_before(s, json_object_get(root, "before"));
	ok = json_is_object(root) ? decode_containers(s, json_object_get(root, "containers"), err)
				  : error_set(err, -1, "it is no object");
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

static bool write_state(struct saved *s, struct error *err)
{
	AUTO_BUF struct buf text = {0};
	const char *comma = "";

	if (s->trouble)
		return error_set(err, -1, "%s", s->trouble);
	buf_puts(&text, "{\"version\": 1, \"before\": {");
	if (s->forwarding_was_off) {
		buf_puts(&text, "\"ip_forward\": 0");
		comma = ", ";
	}
	if (s->policy_was_accept)
		buf_printf(&text, "%s\"forward_policy\": \"ACCEPT\", \"variant\": \"%s\"", comma,
			   variant_names[s->variant]);
	buf_puts(&text, "}, \"containers\": [");
	list_each (name, &s->containers) {
		buf_puts(&text, name == s->containers.items ? "" : ", ");
		buf_json_string(&text, *name);
	}
	buf_puts(&text, "]}\n");
	return file_replace(s->path, text.data, text.len, 0600, err);
}

bool saved_remember_forwarding(struct saved *s, struct error *err)
{
	if (s->forwarding_was_off)
		return true;
	s->forwarding_was_off = true;
	if (write_state(s, err))
		return true;
	s->forwarding_was_off = false;
	return false;
}

bool saved_remember_policy(struct saved *s, enum variant variant, struct error *err)
{
	if (s->policy_was_accept)
		return true;
	s->policy_was_accept = true;
	s->variant = variant;
	if (write_state(s, err))
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
	return write_state(s, err);
}

bool saved_forget(const struct saved *s, struct error *err)
{
	if (unlink(s->path) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove %s", s->path);
	return true;
}
