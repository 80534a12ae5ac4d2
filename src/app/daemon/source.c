/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/source.h"

#include "app/console/say.h"
#include "app/daemon/trial.h"
#include "app/pass/last_good.h"
#include "base/hash.h"
#include "base/log.h"
#include "core/plan/brake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pipe as the file must not block everything else for longer. */
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

static void note_trouble(struct source *s, const char *text)
{
	snprintf(s->trouble, sizeof(s->trouble), "%s", text);
}

/* Notes why a file is refused. */
static const char *first_error(struct generation *g)
{
	list_each (diag, &g->diags.list)
		if (diag->severity == SEVERITY_ERROR)
			return diag_format(&g->arena, g->config.file, diag);
	return "";
}

static void drop(struct generation **g)
{
	if (*g)
		generation_release(*g);
	free(*g);
	*g = NULL;
}

static void forget_held(struct source *s)
{
	s->held = 0;
	buf_clear(&s->takes);
}

/* --- a new file --- */

/* The new file is not taken; the one before it stays in force. */
static void go_back(struct source *s)
{
	drop(&s->current);
	s->current = s->before;
	s->before = NULL;
	s->weighed = s->told = s->current != NULL;
}

/* The file in force was put back, so there is nothing to compare. */
static void take_back(struct source *s, struct generation *g)
{
	drop(&g);
	if (!s->weighed)
		go_back(s);
}

static const struct generation *in_force(const struct source *s)
{
	return s->weighed ? s->current : s->before;
}

/* At a start the last good file is in force; the new file may be the same. */
static void find_in_force(struct source *s, const struct generation *g)
{
	s->weighed = last_good_is(s->options, g->config.digest);
	if (!s->weighed)
		s->before = last_good_load(s->options);
}

/* False: it is the file in force. */
static bool take_generation(struct source *s, struct generation *g, const struct texts *texts)
{
	const struct generation *good = in_force(s);
	struct error err = {0};
	bool first = !s->current;

	if (good && good->config.digest == g->config.digest) {
		bool other = !s->weighed;

		take_back(s, g);
		return other;
	}
	if (s->weighed)
		s->before = s->current;
	else
		drop(&s->current);
	s->current = g;
	s->weighed = s->told = false;
	if (first)
		find_in_force(s, g);
	s->proposed = !s->weighed && last_good_propose(s->options, texts, &err);
	if (err.text[0])
		log_warn("last good config not kept", "error", err.text);
	return true;
}

void source_load_last_good(struct source *s)
{
	AUTO_RELEASE struct arena a = {0};

	s->current = last_good_load(s->options);
	s->weighed = s->told = s->current != NULL;
	if (s->current)
		log_warn("the last good config is enforced instead", "file",
			 last_good_path(&a, s->options));
}

/* --- the files as they were seen --- */

static void see_file(struct source *s, const char *path, const char *text, size_t len)
{
	*list_add(&s->seen_arena, &s->seen) = (struct seen_file){
		arena_strdup(&s->seen_arena, path), file_mark(path), hash_large(text, len)};
}

static void see(struct source *s, const struct texts *texts)
{
	AUTO_RELEASE struct arena a = {0};
	list_files files = {0};

	arena_release(&s->seen_arena);
	memset(&s->seen, 0, sizeof(s->seen));
	see_file(s, s->options->config, buf_text(&texts->bytes), texts->len);
	texts_lists(&files, &a, texts, s->options->config);
	list_each (file, &files)
		see_file(s, file->path, file->text, file->len);
}

/* A file that looks unchanged is read, too, but not kept. */
static bool is_unchanged(const struct source *s)
{
	if (!s->known)
		return false;
	list_each (seen, &s->seen) {
		struct file_mark mark = file_mark(seen->path);

		if (!mark.inode || memcmp(&mark, &seen->mark, sizeof(mark)) != 0 ||
		    !file_has_hash(seen->path, mark.size, seen->hash))
			return false;
	}
	return true;
}

/* False: unchanged since the last look, or unreadable. */
static bool read_files(struct source *s, struct texts *texts)
{
	struct error err = {0};
	uint64_t digest;

	if (is_unchanged(s))
		return false;
	if (!texts_read(texts, s->options->config, PIPE_MS, &err)) {
		if (s->known || !s->digest)
			log_error("config unreadable, what stands stays", "error", err.text);
		s->known = false;
		s->digest = 1;
		forget_held(s);
		note_trouble(s, err.text);
		return false;
	}
	see(s, texts);
	digest = texts_digest(texts);
	if (s->known && digest == s->digest)
		return false;
	s->known = true;
	s->digest = digest;
	return true;
}

/* --- a trial --- */

/* The brake does not look at it: it takes away what it does for a short time only. */
static bool enter_trial(struct source *s, const struct trial *t)
{
	struct generation *g = xmalloc(sizeof(*g));
	struct error err = {0};

	if (!generation_load(g, s->options->config, &t->texts, &err) ||
	    g->config.digest != t->digest) {
		log_diags(g);
		log_error("trial refused, what stands stays", "error", err.text);
		drop(&g);
		trial_end(s->options);
		return false;
	}
	drop(&s->before);
	drop(&s->current);
	forget_held(s);
	s->trouble[0] = '\0';
	s->current = g;
	s->weighed = true;
	s->told = s->proposed = false;
	s->tried = t->digest;
	s->tried_until_ms = t->until_ms;
	log_info("trial begins", "generation", digest_text(&g->arena, t->digest), "#seconds",
		 arena_printf(&g->arena, "%u", trial_left_s(t->until_ms)));
	return true;
}

/* If it was not confirmed, what is in force is found out as at a start. */
static void leave_trial(struct source *s)
{
	AUTO_RELEASE struct arena a = {0};
	bool confirmed = last_good_is(s->options, s->tried);

	log_event(confirmed ? LOG_INFO_LEVEL : LOG_WARN_LEVEL,
		  confirmed ? "trial confirmed" : "trial over: back to the last good generation",
		  "generation", digest_text(&a, s->tried), NULL);
	s->tried = 0;
	s->known = false;
	s->digest = 0;
	if (confirmed)
		return;
	drop(&s->current);
	s->weighed = false;
}

static void tell_edit(struct source *s)
{
	AUTO_TEXTS struct texts texts = {0};
	struct error err = {0};

	if (!s->known || is_unchanged(s) ||
	    (texts_read(&texts, s->options->config, PIPE_MS, &err) &&
	     texts_digest(&texts) == s->digest))
		return;
	s->known = false;
	log_warn("the file has changed during a trial: it is read when the trial ends", "file",
		 s->options->config);
}

/* True: a trial runs, so the file is not read. *changed: it has just begun. */
static bool follow_trial(struct source *s, bool *changed)
{
	AUTO_TRIAL struct trial t = {0};
	enum trial_state state = trial_look(&t, s->options);

	*changed = false;
	if (state == TRIAL_RUNS && t.digest == s->tried) {
		tell_edit(s);
		return true;
	}
	if (state == TRIAL_OVER)
		trial_end(s->options);
	if (s->tried)
		leave_trial(s);
	*changed = state == TRIAL_RUNS && enter_trial(s, &t);
	return *changed;
}

/* Nobody confirmed this file in time: it takes somebody who accepts it. */
static bool hold_rejected(struct source *s, const struct generation *g)
{
	AUTO_RELEASE struct arena a = {0};
	uint64_t rejected = trial_rejected(s->options);

	if (!rejected)
		return false;
	if (g->config.digest != rejected || s->accepted == rejected) {
		trial_forget_rejected(s->options);
		return false;
	}
	s->held = rejected;
	buf_puts(&s->takes, "it was on trial, and nobody confirmed it");
	log_error("config held, what stands stays", "takes", buf_text(&s->takes), "accept",
		  accept_command(&a, s->options, s->held));
	return true;
}

/* --- the file --- */

static bool reload_file(struct source *s)
{
	AUTO_TEXTS struct texts texts = {0};
	struct error err = {0};
	struct generation *g;

	if (!read_files(s, &texts))
		return false;
	forget_held(s);
	s->trouble[0] = '\0';
	g = xmalloc(sizeof(*g));
	if (generation_load(g, s->options->config, &texts, &err)) {
		log_diags(g);
		if (!hold_rejected(s, g))
			return take_generation(s, g, &texts);
		drop(&g);
		return false;
	}
	log_diags(g);
	log_error("config refused, what stands stays", "error", err.text);
	note_trouble(s, first_error(g));
	drop(&g);
	return false;
}

bool source_reload(struct source *s)
{
	uint64_t tried = s->tried;
	bool changed;

	if (follow_trial(s, &changed))
		return changed;
	changed = reload_file(s);
	if (s->current || !tried)
		return changed;
	source_load_last_good(s);
	return true;
}

/* --- what a new file takes away --- */

static void tell_taken(struct source *s)
{
	AUTO_RELEASE struct arena a = {0};
	const struct config *c = &s->current->config;

	if (s->told)
		return;
	s->told = true;
	s->loaded_at = time(NULL);
	log_info("config loaded", "file", s->options->config, "#networks",
		 arena_printf(&a, "%u", c->networks.n), "#addresses",
		 arena_printf(&a, "%u", c->addresses.n), "#policies",
		 arena_printf(&a, "%u", c->policies.n));
}

static void settle(struct source *s)
{
	struct error err = {0};

	s->weighed = true;
	drop(&s->replaced);
	s->replaced = s->before;
	s->before = NULL;
	if (s->proposed && !last_good_accept(s->options, &err))
		log_warn("last good config not kept", "error", err.text);
}

static void hold(struct source *s, const char *takes)
{
	AUTO_RELEASE struct arena a = {0};

	s->accepted = 0;
	s->held = s->current->config.digest;
	buf_puts(&s->takes, takes);
	go_back(s);
	log_error("config held, what stands stays", "takes", takes, "accept",
		  accept_command(&a, s->options, s->held));
}

static struct declared declared_by(const struct generation *g)
{
	return g ? (struct declared){&g->config, &g->resolution} : (struct declared){0};
}

static bool refuse_trial(struct source *s, const char *why)
{
	log_error("trial refused", "error", why);
	trial_end(s->options);
	source_reload(s);
	return s->current;
}

bool source_refuse(struct source *s, const char *why)
{
	if (s->tried)
		return refuse_trial(s, why);
	if (s->weighed || !s->before)
		return false;
	log_error("config refused, what stands stays", "error", why);
	note_trouble(s, why);
	go_back(s);
	return true;
}

bool source_weigh(struct source *s, const struct view *view, bool planned)
{
	AUTO_RELEASE struct arena a = {0};
	const struct declared before = declared_by(s->before), wanted = declared_by(s->current);
	struct brake brake;

	if (!s->weighed && s->accepted != s->current->config.digest) {
		brake_look(&brake, &a, &view->engine, &before, &wanted);
		if (brake_holds(&brake)) {
			hold(s, brake_text(&brake, &a));
			return false;
		}
	}
	if (!planned)
		return true;
	s->accepted = 0;
	tell_taken(s);
	if (s->weighed)
		return true;
	/* what exists is unknown; check the losses again once the engine answers */
	if (s->before || view->engine.up || view->facts.no_engine)
		settle(s);
	return true;
}

void source_accept(struct source *s, uint64_t digest)
{
	s->accepted = digest;
	s->known = false; /* a held file is read again: it may have changed */
}

void source_compared(struct source *s)
{
	drop(&s->replaced);
}

void source_release(struct source *s)
{
	drop(&s->replaced);
	drop(&s->current);
	drop(&s->before);
	buf_free(&s->takes);
	arena_release(&s->seen_arena);
}
