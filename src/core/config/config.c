/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the text to a config: value by value where it is sound, and as a whole where it is not, to
 * say why.
 */
#include "core/config/config.h"

#include "base/seen.h"
#include "core/config/impl.h"
#include "core/json/json_arena.h"
#include "core/json/json_pieces.h"
#include "core/json/locate.h"

#include <stdlib.h>
#include <string.h>

/* One error for the whole file, at an offset in it. */
static bool refuse(struct diags *diags, const char *text, size_t len, size_t offset,
		   const char *format, ...) PRINTF_LIKE(5, 6);

static bool refuse(struct diags *diags, const char *text, size_t len, size_t offset,
		   const char *format, ...)
{
	struct position at = locate_offset(text, len, offset);
	struct diag *diag;
	va_list args;

	va_start(args, format);
	diag = diag_add(diags, SEVERITY_ERROR, "", "", "%s",
			arena_vprintf(diags->arena, format, args));
	va_end(args);
	diag->line = at.line;
	diag->column = at.column;
	return false;
}

/* What the JSON library would say less clearly, or not at all. */
static bool text_is_sound(struct diags *diags, const char *text, size_t len)
{
	const char *nul = memchr(text, '\0', len);

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return refuse(
			diags, text, len, 0,
			"the file begins with a byte order mark; save it as UTF-8 without one");
	if (json_pieces_end(&(struct json_pieces){.at = text, .end = text + len}))
		return refuse(diags, text, len, 0,
			      "the file is empty; put its text back: networks, ips and policies");
	if (nul)
		return refuse(diags, text, len, (size_t)(nul - text),
			      "a NUL byte; save the file as UTF-8");
	return true;
}

/* Where it is not, that alone is said: what else is wrong in there is of no use to anybody. */
static bool is_flat(struct diags *diags, const char *text, size_t len)
{
	size_t deep = locate_nesting(text, len, CONFIG_MAX_NESTING);

	if (deep == SIZE_MAX)
		return true;
	*diags = (struct diags){.arena = diags->arena};
	return refuse(diags, text, len, deep, "nested deeper than %d", CONFIG_MAX_NESTING);
}

/* The library's position is the end of the token at which it stopped. */
static bool refuse_syntax(struct diags *diags, const char *text, size_t len,
			  const json_error_t *error)
{
	size_t end = error->position > 0 ? (size_t)error->position : 0;
	const char *near = strstr(error->text, " near ");
	size_t words = near ? (size_t)(near - error->text) : strlen(error->text);
	size_t at = locate_token(text, len, end);

	if (json_error_code(error) == json_error_invalid_utf8)
		return refuse(diags, text, len, end, "not UTF-8; save the file as UTF-8");
	if (at >= len || (near && !strcmp(near, " near end of file")))
		return refuse(diags, text, len, len, "not JSON: the file ends too early; %.*s",
			      (int)words, error->text);
	return refuse(diags, text, len, at, "not JSON: %.*s", (int)words, error->text);
}

enum { SOUND = JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES };

enum { TYPICAL = 64 }; /* policies, from which on the others are thought to be as long */

/*
 * Room for as many as there will be if the rest of the text is like what was read of it, where they
 * can stay. If it is not, they grow as all lists do.
 */
static void make_room(struct decoder *d, struct config *config, const struct json_pieces *p)
{
	uint32_t n = config->policies.n;
	double read = (double)(p->at - d->policies_at), all = (double)(p->end - d->policies_at);
	double growth = 1.0625 * all / read;
	double there_will_be = n * growth + 1;
	const struct policy *old = config->policies.items;

	if (there_will_be > CONFIG_MAX_POLICIES)
		there_will_be = CONFIG_MAX_POLICIES;
	list_reserve(d->a, &config->policies, (uint32_t)there_will_be);
	d->placed = memcpy(config->policies.items, old, n * sizeof(*old));
	buf_reserve(&d->comments, (size_t)((double)d->comments.len * growth));
}

/* Most of a large file: each is gone from memory before the next one comes. */
static void decode_policies_by_pieces(struct decoder *d, struct config *config,
				      struct json_pieces *p)
{
	struct json_value value;
	uint32_t i = 0;

	d->policies_at = p->at;
	d->sections |= 1u << SECTION_POLICIES;
	enter_key(d, "policies");
	for (; json_pieces_more(p, ']', i == 0); i++) {
		p->broken |= i == CONFIG_MAX_POLICIES;
		if (!json_piece(&value, p))
			break;
		enter_index(d, i);
		if (config->policies.n == TYPICAL)
			make_room(d, config, p);
		decode_policy(d, config, &value);
		leave(d);
	}
	leave(d);
}

static void decode_named_by_pieces(struct decoder *d, struct config *config, struct json_pieces *p,
				   const struct named_objects *all)
{
	struct json_value value;
	struct seen keys = {0};

	enter_key(d, all->member);
	for (uint32_t n = 0; json_pieces_more(p, '}', n == 0); n++) {
		const char *key = json_pieces_key(p, d->scratch);

		p->broken |= n == all->most || seen_before(&keys, d->scratch, hash_text(key));
		if (!json_piece(&value, p))
			break;
		decode_named_object(d, config, key, &value, all);
	}
	leave(d);
}

static void decode_member_by_pieces(struct decoder *d, struct config *config, struct json_pieces *p,
				    const char *key)
{
	struct json_member member = {.key = key, .len = strlen(key)};

	for (size_t i = 0; i < COUNT_OF(named_objects); i++)
		if (!strcmp(key, named_objects[i].member) && json_pieces_take(p, '{')) {
			d->sections |= 1u << i;
			decode_named_by_pieces(d, config, p, &named_objects[i]);
			return;
		}
	if (!strcmp(key, "policies") && json_pieces_take(p, '['))
		decode_policies_by_pieces(d, config, p);
	else if (json_piece(&member.value, p))
		decode_config_member(d, &member, config);
}

/* False: there is something wrong with the text, and what was decoded of it does not count. */
static bool decode_by_pieces(struct decoder *d, struct config *config, struct arena *tree,
			     const char *text, size_t len)
{
	struct json_pieces p = {.at = text, .end = text + len, .flags = SOUND, .tree = tree};
	struct seen keys = {0};

	if (!json_pieces_take(&p, '{'))
		return false;
	while (json_pieces_more(&p, '}', keys.n == 0)) {
		const char *key = json_pieces_key(&p, d->scratch);

		p.broken |= seen_before(&keys, d->scratch, hash_text(key));
		decode_member_by_pieces(d, config, &p, key);
	}
	return json_pieces_end(&p);
}

/* NULL with diagnostics. Where keys stand twice the last one counts, so that all else is checked.
 */
static json_t *parse(struct diags *diags, const char *text, size_t len)
{
	json_error_t error;
	json_t *root = json_loadb(text, len, SOUND, &error);

	if (!root && json_error_code(&error) == json_error_duplicate_key) {
		diags_add_duplicates(diags, text, len);
		root = json_loadb(text, len, JSON_ALLOW_NUL, &error);
	}
	if (!root && is_flat(diags, text, len))
		refuse_syntax(diags, text, len, &error);
	return root;
}

static bool decode_whole(struct decoder *d, struct config *config, const char *text, size_t len)
{
	const struct json_value root = json_value_of(parse(d->diags, text, len));

	if (root.json)
		decode_config(d, &root, config);
	return root.json;
}

static bool decode(struct decoder *d, struct config *config, const char *text, size_t len)
{
	AUTO_RELEASE struct arena tree = {0};
	const struct decoder fresh = *d;
	const struct config empty = *config;
	bool sound;

	json_arena_begin(&tree);
	sound = decode_by_pieces(d, config, &tree, text, len);
	if (!sound) {
		buf_free(&d->comments);
		*d = fresh;
		*d->diags = (struct diags){.arena = d->diags->arena};
		*config = empty;
		sound = decode_whole(d, config, text, len);
	}
	json_arena_end();
	return sound;
}

static void *keep(struct arena *a, const void *bytes, size_t size)
{
	return size ? memcpy(arena_alloc(a, size), bytes, size) : NULL;
}

#define keep_list(a, list)                                                                         \
	((list)->items = keep((a), (list)->items, (list)->n * sizeof(*(list)->items)),             \
	 (list)->cap = (list)->n)

/* For as long as the config is kept, in just as much memory as it takes. */
static void keep_policies(struct config *config, struct decoder *d)
{
	if (!d->names.n)
		list_add(d->scratch, &d->names);
	memcpy(&config->names, &d->names, sizeof(config->names));
	keep_list(d->a, &config->names);
	if (config->policies.items != d->placed)
		keep_list(d->a, &config->policies);
	keep_list(d->a, &config->ranges);
	config->comments = keep(d->a, d->comments.data, d->comments.len);
	buf_free(&d->comments);
}

bool config_decode(struct config *config, struct diags *diags, struct arena *a, const char *file,
		   const char *text, size_t len)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct decoder d = {.a = a, .scratch = &scratch, .diags = diags};

	*config = (struct config){.file = file, .digest = hash_large(text, len)};
	if (!text_is_sound(diags, text, len) || !decode(&d, config, text, len)) {
		buf_free(&d.comments);
		return false;
	}
	refuse_missing_sections(&d);
	keep_policies(config, &d);
	if (d.odd && !is_flat(diags, text, len))
		return false;
	config_check(config, diags, a);
	if (diags->list.n)
		diags_locate(diags, text, len);
	return !diags->n_errors;
}
