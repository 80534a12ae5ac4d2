/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/source.h"

#include "base/hash.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* What is no file, but a pipe, keeps everybody else waiting. */
enum { PIPE_MS = 1000 };

static void log_diags(struct generation *g)
{
	list_each (diag, &g->diags.list) {
		const char *text = diag_format(&g->arena, g->config.file, diag);

		if (diag->severity == SEVERITY_ERROR)
			log_error("config", "error", text);
		else if (diag->severity == SEVERITY_WARNING)
			log_warn("config", "warning", text);
	}
}

static void drop(struct generation *g)
{
	if (g)
		generation_release(g);
	free(g);
}

static void accept_generation(struct source *s, struct generation *g)
{
	AUTO_RELEASE struct arena a = {0};

	drop(s->current);
	s->current = g;
	s->refused = false;
	s->loaded_at = time(NULL);
	log_info("config loaded", "file", s->options->config, "networks",
		 arena_printf(&a, "%u", g->config.networks.n), "addresses",
		 arena_printf(&a, "%u", g->config.addresses.n), "policies",
		 arena_printf(&a, "%u", g->config.policies.n));
}

/* Beside the state file: what to enforce when the next start finds no file, or a broken one. */
static const char *last_good_path(const struct source *s, struct arena *a)
{
	const char *state = s->options->state, *slash = strrchr(state, '/');

	return slash ? arena_printf(a, "%.*s/last-good.json", (int)(slash - state), state)
		     : "last-good.json";
}

static void keep_last_good(const struct source *s, const struct buf *text)
{
	AUTO_RELEASE struct arena a = {0};
	struct error err = {0};

	if (!file_replace(last_good_path(s, &a), buf_text(text), text->len, 0600, &err))
		log_warn("last good config not kept", "error", err.text);
}

void source_load_last_good(struct source *s)
{
	AUTO_RELEASE struct arena a = {0};
	const char *path = last_good_path(s, &a);
	AUTO_BUF struct buf text = {0};
	struct generation *g;
	struct error err = {0};

	if (!file_read(&text, path, CONFIG_MAX_BYTES, &err))
		return;
	g = xmalloc(sizeof(*g));
	if (!generation_load(g, s->options->config, &text, &err)) {
		drop(g);
		return;
	}
	log_warn("the last good config is enforced instead", "file", path);
	s->current = g;
}

/* What looks unchanged is read as well, but needs no memory. */
static bool is_unchanged(const struct source *s, struct file_mark mark)
{
	return s->known && mark.inode && !memcmp(&mark, &s->mark, sizeof(mark)) &&
	       file_has_hash(s->options->config, mark.size, s->digest);
}

bool source_reload(struct source *s)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};
	struct generation *g;
	uint64_t digest;
	struct file_mark mark = file_mark(s->options->config); /* before it is read */

	if (is_unchanged(s, mark))
		return false;
	s->mark = mark;
	if (!file_read_within(&text, s->options->config, CONFIG_MAX_BYTES, PIPE_MS, &err)) {
		if (s->known || !s->digest)
			log_error("config unreadable, what stands stays", "error", err.text);
		s->known = false;
		s->digest = 1;
		return false;
	}
	digest = hash_large(text.data, text.len);
	if (s->known && digest == s->digest)
		return false;
	s->known = true;
	s->digest = digest;
	g = xmalloc(sizeof(*g));
	if (generation_load(g, s->options->config, &text, &err)) {
		log_diags(g);
		accept_generation(s, g);
		keep_last_good(s, &text);
		return true;
	}
	log_diags(g);
	log_error("config refused, what stands stays", "error", err.text);
	s->refused = true;
	drop(g);
	return false;
}

void source_release(struct source *s)
{
	drop(s->current);
	s->current = NULL;
}
