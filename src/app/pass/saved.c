/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/saved.h"

#include "base/diag.h"
#include "core/iptables/iptables.h"
#include "core/json/json.h"

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

static void decode_before(const struct reading *r, uint32_t before)
{
	uint32_t forward = json_member(&r->json, before, "ip_forward");
	struct saved *s = r->s;
	int64_t number;

	s->forwarding_was_off =
		forward != JSON_ROOT && json_integer_of(&number, &r->json, forward) && !number;
	for (size_t i = VARIANT_NFT; i <= VARIANT_LEGACY; i++)
		if (member_is(r, before, "variant", variant_names[i]))
			s->variant = (enum variant)i;
	s->policy_was_accept = member_is(r, before, "forward_policy", "ACCEPT") && s->variant;
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool decode_containers(const struct reading *r, uint32_t list)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct saved *s = r->s;

	if (json_type_of(&r->json, list) != JSON_TYPE_LIST)
		return wrong_type(r, list, "a list");
	json_each (item, &r->json, list) {
		struct json_string name = json_string_of(&r->json, item, &scratch);

		if (!name.text)
			return wrong_type(r, item, "a text");
		if (memchr(name.text, '\0', name.len))
			return wrong_at(r, r->json.nodes[item].at, "a NUL character in a name");
		*list_add(&s->arena, &s->containers) =
			arena_strndup(&s->arena, name.text, name.len);
	}
	if (s->containers.n)
		qsort(s->containers.items, s->containers.n, sizeof(*s->containers.items), by_text);
	return true;
}

static bool decode(struct saved *s, const struct buf *text, struct error *err)
{
	AUTO_RELEASE struct arena tree = {0};
	struct reading r = {.s = s, .len = text->len, .err = err};
	struct json_error wrong;
	uint32_t before, containers;

	if (!json_parse(&r.json, &tree, buf_text(text), text->len, JSON_MAX_DEPTH, &wrong))
		return wrong_at(&r, wrong.at, wrong.what);
	if (json_type_of(&r.json, JSON_ROOT) != JSON_TYPE_OBJECT)
		return wrong_type(&r, JSON_ROOT, "an object");
	before = json_member(&r.json, JSON_ROOT, "before");
	containers = json_member(&r.json, JSON_ROOT, "containers");
	if (before != JSON_ROOT)
		decode_before(&r, before);
	return containers == JSON_ROOT || decode_containers(&r, containers);
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
