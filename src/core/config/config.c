/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From text to config: one tree of the whole text, decoded node by node. */
#include "core/config/config.h"

#include "core/config/impl.h"

#include <string.h>

/* --- text that is no JSON --- */

static const char *open_bracket(struct arena *a, const char *text, size_t len,
				const struct json_error *error)
{
	if (error->opened == SIZE_MAX)
		return "";
	return arena_printf(a, " (the \"%c\" on line %u is still open)", text[error->opened],
			    position_of(text, len, error->opened).line);
}

static void refuse_syntax(struct diags *diags, const char *text, size_t len,
			  const struct json_error *error)
{
	struct diag *diag;

	switch (error->kind) {
	case JSON_TROUBLE_EMPTY:
		diag_add(diags, SEVERITY_ERROR, 0, "",
			 "the file is empty; put its text back: networks, ips and policies");
		return;
	case JSON_TROUBLE_LIMIT:
		diag_add(diags, SEVERITY_ERROR, error->at, "", "nested deeper than %d",
			 CONFIG_MAX_NESTING);
		return;
	case JSON_TROUBLE_BYTES:
		diag_add(diags, SEVERITY_ERROR, error->at, "", "%s", error->what);
		return;
	case JSON_TROUBLE_SYNTAX:
		break;
	}
	diag = diag_add(diags, SEVERITY_ERROR, error->at, "", "not JSON: %s%s", error->what,
			open_bracket(diags->arena, text, len, error));
	diag->quote = quote_place(diags->arena, text, len, error->at);
}

/* --- what is kept --- */

static void *keep(struct arena *a, const void *bytes, size_t size)
{
	return size ? memcpy(arena_alloc(a, size), bytes, size) : NULL;
}

#define keep_list(a, list)                                                                         \
	((list)->items = keep((a), (list)->items, (list)->n * sizeof(*(list)->items)),             \
	 (list)->cap = (list)->n)

/* Copies what lives as long as the config. The copies have no spare room. */
static void keep_policies(struct config *config, struct decoder *d)
{
	if (!d->names.n)
		list_add(d->scratch, &d->names);
	memcpy(&config->names, &d->names, sizeof(config->names));
	keep_list(d->a, &config->names);
	keep_list(d->a, &config->ranges);
	config->comments = keep(d->a, d->comments.data, d->comments.len);
	memcpy(&config->lists, &d->lists.list, sizeof(config->lists));
}

enum { COMMENTS_PART = 8 }; /* policies are most of a text, comments about an eighth of it */

bool config_parse(struct config_text *kept, struct diags *diags, const char *text, size_t len)
{
	struct json_error error;

	*kept = (struct config_text){.len = len};
	if (json_parse(&kept->json, &kept->arena, text, len, CONFIG_MAX_NESTING, &error))
		return true;
	refuse_syntax(diags, text, len, &error);
	return false;
}

bool config_decode_parsed(struct config *config, struct config_text *kept, struct diags *diags,
			  struct arena *a, const char *file, const list_files *files)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct decoder d = {.a = a, .scratch = &scratch, .diags = diags, .text = kept};

	*config = (struct config){.file = file};
	lists_begin(&d, files);
	buf_reserve(&d.comments, kept->len / COMMENTS_PART);
	decode_config(&d, config);
	refuse_missing_sections(&d);
	keep_policies(config, &d);
	buf_free(&d.comments);
	config_check(config, kept, diags, a);
	return !diags->n_errors;
}

bool config_decode(struct config *config, struct config_text *kept, struct diags *diags,
		   struct arena *a, const char *file, const char *text, size_t len)
{
	static const list_files none;

	*config = (struct config){.file = file};
	if (!config_parse(kept, diags, text, len) ||
	    !config_decode_parsed(config, kept, diags, a, file, &none))
		return false;
	config->digest = hash_large(text, len);
	return true;
}
