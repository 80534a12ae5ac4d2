/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a trial begins: what may be tried, who does it, and the wait without a daemon. */
#include "app/answers/preview.h"
#include "app/change.h"
#include "app/confirm.h"
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "app/daemon/ask.h"
#include "app/daemon/trial.h"
#include "app/pass/last_good.h"
#include "edge/host/status.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TESTS_S = 300, /* how long --confirm tests may take */
	POLL_MS = 100,
};

/* A trial that is about to begin. */
struct attempt {
	const struct options *options;
	struct options tried; /* the same, for the file that is tried */
	struct trial trial;
	struct generation generation;
	struct change change;
	bool by_daemon;
};

/* --- the wait --- */

static volatile sig_atomic_t ended;

static void note_end(int number UNUSED)
{
	ended = 1;
}

/*
 * The change may cut off the terminal that it was typed on: losing it must not stop the command
 * that would repair that.
 */
static void outlive_terminal(void)
{
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static void catch_end(void)
{
	struct sigaction action = {.sa_handler = note_end, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int wait_for_word(const struct options *o, const struct trial *began)
{
	for (;;) {
		AUTO_TRIAL struct trial t = {0};
		enum trial_state state = trial_look(&t, o);

		if (state == TRIAL_NONE || (state == TRIAL_RUNS && t.digest != began->digest))
			break;
		if (state == TRIAL_OVER || ended) {
			say_error(ended ? "the trial is given up" : "nobody confirmed in time");
			confirm_end(o);
			return EXIT_FAILED;
		}
		usleep(POLL_MS * 1000);
	}
	if (last_good_is(o, began->digest))
		return EXIT_FINE;
	say_error("the trial was ended by another command");
	return EXIT_FAILED;
}

/* --- a trial begins --- */

static const char *folder_of(struct arena *a, const char *path)
{
	AUTO_FREE char *real = realpath(path, NULL);
	const char *slash = real ? strrchr(real, '/') : NULL;

	return slash ? arena_strndup(a, real, (size_t)(slash - real)) : "";
}

/* Lists are looked for beside the file that names them. */
static bool lists_are_beside(struct attempt *t, struct error *err)
{
	struct arena *a = &t->trial.arena;

	return t->trial.texts.len == t->trial.texts.bytes.len ||
	       !strcmp(folder_of(a, t->tried.config), folder_of(a, t->options->config)) ||
	       error_set(err, -1, "%s names lists: put it into the folder of %s to try it",
			 t->tried.config, t->options->config);
}

static bool has_way_back(const struct options *o, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	struct generation *good = last_good_load(o);

	if (!good)
		return error_set(
			err, -1,
			"there is no last good generation to go back to (%s): apply a file without "
			"--confirm first, an empty one if nothing is to stand",
			last_good_path(&a, o));
	generation_release(good);
	free(good);
	return true;
}

static bool may_be_tried(struct attempt *t, struct error *err)
{
	const struct options *o = t->options;
	AUTO_FREE char *config = realpath(o->config, NULL);

	if (!config)
		return error_set(err, errno, "%s", o->config);
	t->trial.config = arena_strdup(&t->trial.arena, config);
	t->trial.digest = t->generation.config.digest;
	t->trial.base = confirm_digest(config);
	t->trial.seconds = o->confirm_s ? o->confirm_s : TESTS_S;
	if (strchr(config, '\n'))
		return error_set(err, -1, "a line feed in %s", config);
	if (!o->confirm_s && !t->generation.config.tests.n)
		return error_set(err, -1, "--confirm tests: %s has no tests", t->tried.config);
	if (!has_way_back(o, err) || !lists_are_beside(t, err))
		return false;
	if (last_good_is(o, t->trial.digest))
		return error_set(err, -1,
				 "%s is in force already; write the change into another file, and "
				 "try that one: harborwall apply --confirm %s FILE",
				 t->tried.config, o->confirm);
	return true;
}

/* It keeps its state in the same folder. */
static bool daemon_took_it(const struct attempt *t)
{
	AUTO_BUF struct buf json = {0}, expected = {0};
	AUTO_RELEASE struct arena a = {0};
	struct error err = {0};
	long code = 0;

	buf_printf(&expected, "\"trial\": {\"generation\": \"%s\"",
		   digest_text(&a, t->trial.digest));
	return status_ask(&json, &code, t->options->listen, "/status", false, &err) &&
	       strstr(buf_text(&json), buf_text(&expected));
}

static bool have_daemon_try(struct attempt *t, struct error *err)
{
	const struct options *o = t->options;
	int status = ask_for_pass(o, 0);

	if (daemon_took_it(t))
		return status == EXIT_FINE || error_set(err, -1, "the pass failed");
	return error_set(err, -1,
			 "the daemon did not take it: see its log; HARBORWALL_STATE must be the "
			 "same for both (here %s)",
			 o->state);
}

/* False: it is not in force as a whole. */
static bool try_it(struct attempt *t, struct error *err)
{
	if (t->by_daemon)
		return have_daemon_try(t, err);
	catch_end();
	(void)!change_converge(&t->change, err);
	change_print_totals(&t->change);
	return t->change.whole;
}

static bool agree(struct attempt *t, struct error *err)
{
	struct pass pass = {0};
	bool go_on = !t->change.asks ||
		     (change_plan(&t->change, &pass, err) && change_agreed(&t->change, &pass, err));

	pass_release(&pass);
	t->change.asks = false;
	return go_on;
}

static bool begin(struct attempt *t, struct error *err)
{
	if (!confirm_find_daemon(&t->by_daemon, &t->change.world, err))
		return false;
	if (t->by_daemon && !ask_is_its_file(t->options))
		return error_set(err, -1, "nothing was tried");
	if (!agree(t, err))
		return false;
	if (!t->by_daemon) {
		t->change.lock = ask_for_lock("apply", err);
		if (t->change.lock < 0)
			return false;
	}
	outlive_terminal();
	return trial_begin(&t->trial, t->options, err) ||
	       (err->code == EEXIST ? error_set(err, -1, "another trial has just begun") : false);
}

static int run_tests(const struct attempt *t)
{
	struct options o = t->tried;

	o.verb = "test";
	o.packets = true;
	if (verb_test(&o) == EXIT_FINE && confirm_digest(o.config) == t->trial.digest)
		return confirm_yes(t->options);
	say_error("the tests do not hold on this host: going back");
	confirm_end(t->options);
	return EXIT_FAILED;
}

static int go_on(const struct attempt *t)
{
	AUTO_RELEASE struct arena a = {0};
	const struct options *o = t->options;

	if (!o->confirm_s)
		return run_tests(t);
	if (!o->quiet)
		say_line(stdout, "on trial for %u s: keep it with %s, or end it with %s",
			 o->confirm_s, confirm_command(&a, o, "yes"), confirm_command(&a, o, "no"));
	fflush(stdout);
	return t->by_daemon ? EXIT_FINE : wait_for_word(o, &t->trial);
}

static int attempt(struct attempt *t)
{
	struct error err = {0};
	bool began, whole;

	if (!may_be_tried(t, &err))
		return say_failed(&err);
	began = change_open(&t->change, &t->tried, &t->generation, &err) && begin(t, &err);
	whole = began && try_it(t, &err);
	change_close(&t->change); /* others may apply and confirm now */
	if (!began)
		return change_fail(&err);
	if (whole)
		return go_on(t);
	error_wrap(&err, "the trial is given up");
	say_failed(&err);
	confirm_end(t->options);
	return EXIT_FAILED;
}

static int confirm_try(const struct options *o)
{
	struct attempt t = {.options = o, .tried = *o};
	int status;

	if (!confirm_is_quiet(o))
		return EXIT_FAILED;
	t.tried.config = o->tried ? o->tried : o->config;
	if (!load_file(&t.generation, &t.trial.texts, &t.tried))
		return EXIT_FAILED;
	status = attempt(&t);
	generation_release(&t.generation);
	trial_release(&t.trial);
	return status;
}

int confirm_apply(const struct options *o)
{
	return !strcmp(o->confirm, "yes")  ? confirm_yes(o)
	       : !strcmp(o->confirm, "no") ? confirm_no(o)
					   : confirm_try(o);
}
