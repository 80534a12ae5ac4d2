/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as networks.json, and behind three newlines as the list "@f": a config whose names can
 * be looked up, or a diagnostic whose place lies in the file; refused if the JSON library refuses
 * them; and it means the same when it is written anew from what the library reads in it, every text
 * of it spelled in escapes.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "core/config/place.h"
#include "core/resolve/resolve.h"

#include <jansson.h>

struct read {
	struct arena a;
	struct diags diags;
	struct config config;
	struct resolution resolution;
	bool ok;
};

static void read_text(struct read *r, const char *text, size_t len, const char *listed)
{
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	struct list_file list = {"f", "f", listed, strlen(listed), NULL};
	list_files files = {.items = &list, .n = 1, .cap = 1};
	name_list named = {0};

	*r = (struct read){0};
	r->diags.arena = &r->a;
	if (config_parse(&kept, &r->diags, text, len)) {
		config_list_files(&named, &r->a, &kept);
		r->ok = config_decode_parsed(&r->config, &kept, &r->diags, &r->a, "config", &files);
	}
	claim(r->ok == !r->diags.n_errors);
	claim(r->config.resolvable || !r->ok);
	if (r->config.resolvable)
		resolve(&r->resolution, &r->diags, &r->a, &r->config, &kept);
	diags_place(&r->diags, text, len);
}

static size_t lines_of(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static void spell_text(struct buf *out, const char *text, size_t len)
{
	uint32_t point = 0;

	buf_puts(out, "\"");
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)text[i];

		point = byte < 0x80    ? byte
			: byte >= 0xc0 ? byte & (0x3fu >> (byte >= 0xe0) >> (byte >= 0xf0))
				       : point << 6 | (byte & 0x3f);
		if (i + 1 < len && ((uint8_t)text[i + 1] & 0xc0) == 0x80)
			continue; /* not the last byte of the character */
		if (point >= 0x10000)
			buf_printf(out, "\\u%04x\\u%04x", 0xd7c0 + (point >> 10),
				   0xdc00 | (point & 0x3ff));
		else
			buf_printf(out, "\\u%04x", point);
	}
	buf_puts(out, "\"");
}

/* Deep texts are refused, and are not spelled to their end. */
static void spell(struct buf *out, const json_t *json)
{
	json_t *value;
	const char *key;
	size_t i;

	switch (json_typeof(json)) {
	case JSON_OBJECT:
		buf_puts(out, "{");
		json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
			buf_puts(out, out->data[out->len - 1] == '{' ? "" : ",");
			spell_text(out, key, strlen(key));
			buf_puts(out, ":");
			spell(out, value);
		}
		buf_puts(out, "}");
		break;
	case JSON_ARRAY:
		buf_puts(out, "[");
		json_array_foreach (json, i, value) {
			buf_puts(out, i ? "," : "");
			spell(out, value);
		}
		buf_puts(out, "]");
		break;
	case JSON_STRING:
		spell_text(out, json_string_value(json), json_string_length(json));
		break;
	case JSON_INTEGER:
		buf_printf(out, "%lld", (long long)json_integer_value(json));
		break;
	case JSON_REAL:
		buf_puts(out, "0.5");
		break;
	case JSON_TRUE:
		buf_puts(out, "true");
		break;
	case JSON_FALSE:
		buf_puts(out, "false");
		break;
	case JSON_NULL:
		buf_puts(out, "null");
		break;
	}
}

/* But for the lines and columns that a message names: the two texts are spelled in other ways. */
static bool same_message(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		if (*a == ':') {
			a += strspn(a + 1, "0123456789");
			b += strspn(b + 1, "0123456789");
		}
	return *a == *b;
}

static void same_diagnostics(const struct diags *a, const struct diags *b)
{
	claim(a->list.n == b->list.n);
	for (uint32_t i = 0; i < a->list.n; i++) {
		claim(a->list.items[i].severity == b->list.items[i].severity);
		claim(!strcmp(a->list.items[i].path, b->list.items[i].path));
		claim(same_message(a->list.items[i].message, b->list.items[i].message));
	}
}

static void same_policies(const struct config *a, const struct config *b)
{
	claim(a->policies.n == b->policies.n);
	for (uint32_t i = 0; i < a->policies.n; i++) {
		const struct policy *p = &a->policies.items[i], *q = &b->policies.items[i];
		const char *said = policy_comment(a, p);

		claim(!memcmp(p, q, offsetof(struct policy, line)));
		claim(!memcmp(&p->ports, &q->ports, sizeof(*p) - offsetof(struct policy, ports)));
		claim(!said || !strcmp(said, policy_comment(b, q)));
	}
}

static void same(const struct read *a, const struct read *b)
{
	claim(a->ok == b->ok);
	same_diagnostics(&a->diags, &b->diags);
	claim(a->config.networks.n == b->config.networks.n);
	claim(a->config.addresses.n == b->config.addresses.n);
	claim(a->config.names.n == b->config.names.n);
	for (uint32_t i = 1; i < a->config.names.n; i++)
		claim(!strcmp(a->config.names.items[i], b->config.names.items[i]));
	same_policies(&a->config, &b->config);
}

/* The library refuses these, and RFC 8259 does not. */
static bool is_a_limit(const json_error_t *error)
{
	return json_error_code(error) == json_error_numeric_overflow ||
	       json_error_code(error) == json_error_null_byte_in_key;
}

static void compare_with_library(const struct read *r, const char *text, size_t len,
				 const char *listed)
{
	AUTO_BUF struct buf other = {0};
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
	struct read again;

	claim(root || !r->ok || is_a_limit(&error));
	if (!root || memchr(text, '\0', len)) {
		json_decref(root);
		return;
	}
	spell(&other, root);
	json_decref(root);
	read_text(&again, buf_text(&other), other.len, listed);
	same(r, &again);
	arena_release(&again.a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char between[] = "\n\n\n";
	char *text = own_copy(data, size), *listed = memmem(text, size, between, strlen(between));
	AUTO_BUF struct buf list = {0};
	struct read r;

	if (listed)
		buf_add(&list, listed + strlen(between),
			(size_t)(text + size - listed) - strlen(between));
	size = listed ? (size_t)(listed - text) : size;
	read_text(&r, text, size, buf_text(&list));
	list_each (diag, &r.diags.list)
		claim(diag->line >= 1 && diag->column >= 1 &&
		      diag->line <= (diag->file ? lines_of(buf_text(&list), list.len)
						: lines_of(text, size)));
	compare_with_library(&r, text, size, buf_text(&list));
	arena_release(&r.a);
	free(text);
	return 0;
}
