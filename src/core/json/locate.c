/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A walk over JSON text that keeps, at every key and value, the JSON pointer (RFC 6901) that leads
 * there. It trusts nothing: text that is no JSON ends it early.
 */
#include "core/json/locate.h"

#include "base/buf.h"
#include "core/config/place.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

/* --- tokens --- */

static size_t skip_blanks(const char *text, size_t len, size_t at)
{
	while (at < len && strchr(" \t\r\n", text[at]) && text[at])
		at++;
	return at;
}

static size_t string_end(const char *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at < len ? at + 1 : len;
}

/* The token at `at`, which is no blank: a string, a bracket, a sign, or a run of anything else. */
static size_t token_end(const char *text, size_t len, size_t at)
{
	static const char single[] = "{}[],:";

	if (text[at] == '"')
		return string_end(text, len, at);
	if (text[at] && strchr(single, text[at]))
		return at + 1;
	while (at < len && (!text[at] || !strchr("{}[],:\" \t\r\n", text[at])))
		at++;
	return at;
}

struct position locate_offset(const char *text, size_t len, size_t offset)
{
	struct position p = {1, 1};

	for (size_t i = 0; i < offset && i < len; i++) {
		if (text[i] == '\n')
			p = (struct position){p.line + 1, 1};
		else if ((text[i] & 0xc0) != 0x80) /* not inside a code point */
			p.column++;
	}
	return p;
}

size_t locate_token(const char *text, size_t len, size_t end)
{
	size_t at = skip_blanks(text, len, 0);

	while (at < len) {
		size_t next = token_end(text, len, at);

		if (next >= end)
			return at;
		at = skip_blanks(text, len, next);
	}
	return len;
}

size_t locate_nesting(const char *text, size_t len, uint32_t max)
{
	uint32_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			i = string_end(text, len, i) - 1;
		else if ((text[i] == '{' || text[i] == '[') && ++depth > max)
			return i;
		else if ((text[i] == '}' || text[i] == ']') && depth)
			depth--;
	}
	return SIZE_MAX;
}

/* --- the walk --- */

struct level {
	bool object;
	uint32_t index;	    /* of an array's next value */
	uint32_t serial;    /* number of the object, for duplicate keys */
	size_t pointer_len; /* of the pointer to the container itself */
};

struct walk {
	const char *text;
	size_t len, at;
	struct level levels[MAX_DEPTH];
	uint32_t depth, serials;
	struct buf pointer;
	/*
	 * What is wanted of a place; is_key: the pointer leads to the member, at its key. False:
	 * nothing is wanted of what lies in this value.
	 */
	bool (*visit)(struct walk *w, bool is_key, size_t offset, size_t end);
	void *context;
};

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : 0;
}

static uint32_t hex4(const char *at)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 4 | (uint32_t)hex_digit(at[i]);
	return value;
}

static void add_code_point(struct buf *b, uint32_t c)
{
	char bytes[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (n == 1) {
		bytes[0] = (char)c;
	} else {
		bytes[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c >> (6 * (n - 1)));
		for (size_t i = 1; i < n; i++)
			bytes[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
	}
	buf_add(b, bytes, n);
}

/* \uXXXX, with its second half where it is one of a pair. Returns what follows. */
static const char *add_escaped_code_point(struct buf *b, const char *at, const char *end)
{
	uint32_t c;

	if (end - at < 4)
		return end;
	c = hex4(at);
	at += 4;
	if (c >= 0xd800 && c < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
		c = 0x10000 + ((c - 0xd800) << 10) + (hex4(at + 2) - 0xdc00);
		at += 6;
	}
	add_code_point(b, c & 0x1fffff);
	return at;
}

/* The text of a string token (quotes included in the range), its escapes resolved. */
static void unescape(struct buf *b, const char *token, size_t len)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = token + 1, *end = token + len - 1;

	while (at < end) {
		const char *escape;

		if (*at != '\\' || at + 1 == end) {
			buf_add(b, at++, 1);
			continue;
		}
		escape = strchr(from, at[1]);
		at += 2;
		if (escape && *escape)
			buf_add(b, &to[escape - from], 1);
		else if (at[-1] == 'u')
			at = add_escaped_code_point(b, at, end);
	}
}

/* "/key" with "~" and "/" escaped as RFC 6901 wants. */
static void push_key(struct walk *w, const char *token, size_t len)
{
	AUTO_BUF struct buf key = {0};

	unescape(&key, token, len);
	buf_puts(&w->pointer, "/");
	for (size_t i = 0; i < key.len; i++) {
		if (key.data[i] == '~')
			buf_puts(&w->pointer, "~0");
		else if (key.data[i] == '/')
			buf_puts(&w->pointer, "~1");
		else
			buf_add(&w->pointer, &key.data[i], 1);
	}
}

static void cut(struct buf *b, size_t len)
{
	b->len = len;
	if (b->data)
		b->data[len] = '\0';
}

static size_t pointer_base(const struct walk *w)
{
	return w->depth ? w->levels[w->depth - 1].pointer_len : 0;
}

/* A key: the pointer now leads to its member. False where the text is no JSON. */
static bool walk_key(struct walk *w, size_t end)
{
	cut(&w->pointer, pointer_base(w));
	push_key(w, w->text + w->at, end - w->at);
	w->visit(w, true, w->at, end);
	w->at = skip_blanks(w->text, w->len, end);
	if (w->at >= w->len || w->text[w->at] != ':')
		return false;
	w->at = skip_blanks(w->text, w->len, w->at + 1);
	return w->at < w->len;
}

static void enter(struct walk *w)
{
	w->levels[w->depth++] = (struct level){.object = w->text[w->at] == '{',
					       .serial = ++w->serials,
					       .pointer_len = w->pointer.len};
}

/* Behind the bracket that closes the one at `at`. */
static size_t container_end(const char *text, size_t len, size_t at)
{
	uint32_t depth = 0;

	for (; at < len; at++) {
		char c = text[at];

		if (c == '"')
			at = string_end(text, len, at) - 1;
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return at + 1;
	}
	return len;
}

static bool walk_value(struct walk *w)
{
	size_t end = token_end(w->text, w->len, w->at);
	bool container = w->text[w->at] == '{' || w->text[w->at] == '[';

	if (!w->visit(w, false, w->at, end) && container) {
		w->at = container_end(w->text, w->len, w->at);
		return true;
	}
	if (container) {
		if (w->depth == MAX_DEPTH)
			return false;
		enter(w);
	}
	w->at = end;
	return true;
}

/* One step: a member, an element, a separator or the end of a container. */
static bool walk_step(struct walk *w)
{
	struct level *level = w->depth ? &w->levels[w->depth - 1] : NULL;
	char c;

	w->at = skip_blanks(w->text, w->len, w->at);
	if (w->at >= w->len)
		return false;
	c = w->text[w->at];
	if (c == '}' || c == ']') {
		if (!w->depth)
			return false;
		w->depth--;
		w->at++;
		return true;
	}
	if (c == ',') {
		w->at++;
		return true;
	}
	if (level && level->object) {
		if (c != '"' || !walk_key(w, string_end(w->text, w->len, w->at)))
			return false;
	} else if (level) {
		cut(&w->pointer, level->pointer_len);
		buf_printf(&w->pointer, "/%u", level->index++);
	}
	return walk_value(w);
}

static void walk(struct walk *w)
{
	while (walk_step(w))
		;
	buf_free(&w->pointer);
}

/* --- positions of pointers --- */

/* A diagnostic's pointer, and the offset of what of it was found. */
struct sought {
	const char *pointer;
	size_t len; /* without "#" */
	bool key, exact;
	size_t offset;
	struct diag *diag;
};

struct search {
	struct sought *items; /* sorted by pointer */
	uint32_t n;
};

static int by_pointer(const void *left, const void *right)
{
	const struct sought *a = left, *b = right;
	size_t n = a->len < b->len ? a->len : b->len;
	int order = memcmp(a->pointer, b->pointer, n);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* The first one that does not sort before the pointer. */
static uint32_t lower_bound(const struct search *s, const struct buf *pointer)
{
	struct sought key = {.pointer = buf_text(pointer), .len = pointer->len};

	return first_not_before(s->n, i, by_pointer(&s->items[i], &key) < 0);
}

static bool leads_through(const struct sought *item, const struct buf *pointer)
{
	return item->len >= pointer->len &&
	       !memcmp(item->pointer, buf_text(pointer), pointer->len) &&
	       (item->len == pointer->len || item->pointer[pointer->len] == '/');
}

/* Exact places are kept; of a place that is not there, the innermost container on the way. */
static bool note_place(struct walk *w, bool is_key, size_t offset, size_t end)
{
	struct search *s = w->context;
	bool leads_on = false;

	(void)end;
	for (uint32_t i = lower_bound(s, &w->pointer); i < s->n; i++) {
		struct sought *item = &s->items[i];

		if (strncmp(item->pointer, buf_text(&w->pointer), w->pointer.len) != 0)
			break;
		if (item->exact || !leads_through(item, &w->pointer))
			continue;
		leads_on |= item->len > w->pointer.len;
		if (item->len == w->pointer.len && item->key == is_key) {
			item->offset = offset;
			item->exact = true;
		} else if (!is_key) {
			item->offset = offset;
		}
	}
	return leads_on;
}

static int by_offset(const void *left, const void *right)
{
	const struct sought *a = left, *b = right;

	return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Offsets in ascending order become lines and columns in one more pass. */
static void fill_positions(struct search *s, const char *text, size_t len)
{
	struct position at = {1, 1};
	size_t done = 0;

	qsort(s->items, s->n, sizeof(*s->items), by_offset);
	for (uint32_t i = 0; i < s->n; i++) {
		size_t offset = s->items[i].offset;

		for (; done < offset && done < len; done++) {
			if (text[done] == '\n')
				at = (struct position){at.line + 1, 1};
			else if ((text[done] & 0xc0) != 0x80)
				at.column++;
		}
		s->items[i].diag->line = at.line;
		s->items[i].diag->column = at.column;
	}
}

void diags_locate(struct diags *diags, const char *text, size_t len)
{
	struct search s = {.items = arena_array(diags->arena, struct sought, diags->list.n)};
	struct walk w = {.text = text, .len = len, .visit = note_place, .context = &s};

	list_each (diag, &diags->list) {
		size_t n = strlen(diag->pointer);
		bool key = n && diag->pointer[n - 1] == '#';

		if (!diag->line)
			s.items[s.n++] = (struct sought){
				.pointer = diag->pointer, .len = n - key, .key = key, .diag = diag};
	}
	if (s.n) {
		qsort(s.items, s.n, sizeof(*s.items), by_pointer);
		walk(&w);
		fill_positions(&s, text, len);
	}
	diags_sort(diags);
}

/* --- duplicate keys --- */

struct seen_key {
	uint32_t object;
	const char *pointer;
	size_t offset;
};

struct key_list {
	struct arena *a;
	LIST(struct seen_key) keys;
};

static bool note_key(struct walk *w, bool is_key, size_t offset, size_t end)
{
	struct key_list *list = w->context;

	(void)end;
	if (is_key)
		*list_add(list->a, &list->keys) =
			(struct seen_key){w->levels[w->depth - 1].serial,
					  arena_strdup(list->a, buf_text(&w->pointer)), offset};
	return true;
}

static int by_key(const void *left, const void *right)
{
	const struct seen_key *a = left, *b = right;
	int order;

	if (a->object != b->object)
		return a->object < b->object ? -1 : 1;
	order = strcmp(a->pointer, b->pointer);
	return order ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

void diags_add_duplicates(struct diags *diags, const char *text, size_t len)
{
	AUTO_RELEASE struct arena a = {0};
	struct key_list list = {.a = &a};
	struct walk w = {.text = text, .len = len, .visit = note_key, .context = &list};

	walk(&w);
	if (list.keys.n)
		qsort(list.keys.items, list.keys.n, sizeof(*list.keys.items), by_key);
	for (uint32_t i = 1; i < list.keys.n; i++) {
		const struct seen_key *first = &list.keys.items[i - 1], *key = &list.keys.items[i];
		struct position old, new;
		struct diag *diag;

		if (first->object != key->object || strcmp(first->pointer, key->pointer) != 0)
			continue;
		old = locate_offset(text, len, first->offset);
		new = locate_offset(text, len, key->offset);
		diag = diag_at(diags, SEVERITY_ERROR, key->pointer,
			       "this key stands twice, first on line %u; remove one", old.line);
		diag->line = new.line;
		diag->column = new.column;
	}
}
