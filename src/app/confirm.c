/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/confirm.h"

#include "app/answers/preview.h"
#include "app/change.h"
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "app/daemon/ask.h"
#include "app/daemon/trial.h"
#include "app/pass/last_good.h"
#include "base/hash.h"
#include "edge/host/file.h"
#include "edge/host/status.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* --- who else is there --- */

/* True: a daemon manages this host, so it is asked. */
static bool is_daemon(const char *holder)
{
	return *holder && !lock_is_passing(holder);
}

static bool find_daemon(bool *found, const struct world *w, struct error *err)
{
	char holder[LOCK_TEXT];

	*found = false;
	if (!ask_holder(holder, w, err))
		return false;
	*found = is_daemon(holder);
	return true;
}

static void say_running(const struct options *o, const struct trial *t)
{
	AUTO_RELEASE struct arena a = {0};

	say_error("a trial of %s runs for another %u s: keep it with %s, or end it with %s",
		  digest_text(&a, t->digest), trial_left_s(t->until_ms),
		  confirm_command(&a, o, "yes"), confirm_command(&a, o, "no"));
}

bool confirm_is_quiet(const struct options *o)
{
	AUTO_TRIAL struct trial t = {0};
	enum trial_state state = trial_look(&t, o);

	if (state == TRIAL_RUNS)
		say_running(o, &t);
	if (state == TRIAL_OVER && trial_end(o))
		say_error("a trial was not confirmed in time");
	return state != TRIAL_RUNS;
}

/* --- back --- */

/* 0: it can't be read. */
static uint64_t digest_of_file(const char *path)
{
	AUTO_TEXTS struct texts texts = {0};
	struct error err = {0};

	if (!texts_read(&texts, path, TEXTS_PIPE_MS, &err))
		return 0;
	return hash_large(buf_text(&texts.bytes), texts.bytes.len);
}

/* The file is somebody's work: it is not written over. */
static void tell_rejected(const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	uint64_t rejected = trial_rejected(o);

	if (!rejected || digest_of_file(o->config) != rejected) {
		trial_forget_rejected(o);
		return;
	}
	say_error(
		"%s is still the file that nobody confirmed, and is not enforced: edit it, put the "
		"last good one back (%s), or accept it: %s",
		o->config, last_good_path(&a, o), accept_command(&a, o, rejected));
}

static int put_back(struct change *c)
{
	struct error err = {0};

	if (!c->options->quiet)
		say_line(stdout, "back to the last good generation");
	if (change_converge(c, &err))
		change_say_nothing_to_do(c);
	change_print_totals(c);
	if (!c->whole)
		say_error("not everything is as it was; harborwall apply goes on");
	tell_rejected(c->options);
	return err.text[0] ? change_fail(&err) : EXIT_FINE;
}

int confirm_go_back(const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	struct generation *good = last_good_load(o);
	struct error err = {0};
	struct change c;
	bool by_daemon = false;
	int status;

	if (!good) {
		say_error("there is no last good generation to go back to (%s)",
			  last_good_path(&a, o));
		return EXIT_FAILED;
	}
	if (!change_open(&c, o, good, file_mark(last_good_path(&a, o)).size, &err) ||
	    !find_daemon(&by_daemon, &c.world, &err))
		status = change_fail(&err);
	else if (by_daemon)
		status = ask_for_pass(o, 0);
	else {
		c.asks = false;
		status = put_back(&c);
	}
	change_close(&c);
	generation_release(good);
	free(good);
	return status;
}

/* Somebody else may have decided in the same moment. */
static int end_trial(const struct options *o)
{
	if (trial_end(o))
		return confirm_go_back(o);
	say_error("the trial has ended already");
	return EXIT_FAILED;
}

/* --- --confirm yes, --confirm no --- */

/* Puts the file that was tried in the place of the configuration. */
static bool put_in_place(const struct trial *t, struct error *err)
{
	AUTO_FREE char *path = realpath(t->config, NULL); /* a link stays a link */
	struct stat st;

	if (!path || stat(path, &st))
		return error_set(err, errno, "open %s", t->config);
	if (!file_replace(path, buf_text(&t->texts.bytes), t->texts.len, st.st_mode & 07777, err) ||
	    chown(path, st.st_uid, st.st_gid))
		return error_wrap(err, "copy the file that was tried to %s, and confirm again",
				  t->config);
	return true;
}

/* The configuration must be as it was when the trial began. */
static bool settle_file(const struct trial *t, struct error *err)
{
	uint64_t now = digest_of_file(t->config);

	if (now == t->digest)
		return true;
	if (now != t->base)
		return error_set(
			err, -1,
			"%s has changed since the trial began: copy what was tried over it "
			"and confirm again, or let the time pass",
			t->config);
	if (!put_in_place(t, err))
		return false;
	if (digest_of_file(t->config) == t->digest)
		return true;
	return error_set(err, -1, "the lists beside %s are not those that were tried", t->config);
}

/* The file that was tried must be in force, as a whole, before it is kept. */
static bool is_whole(const struct options *o, const struct trial *t, bool by_daemon,
		     struct error *err)
{
	struct generation g;
	struct change c;
	bool whole = false;

	if (by_daemon)
		return ask_for_pass(o, 0) == EXIT_FINE || error_set(err, -1, "the pass failed");
	if (generation_load(&g, o->config, &t->texts, err)) {
		if (change_open(&c, o, &g, t->texts.bytes.len, err)) {
			c.asks = false;
			(void)!change_converge(&c, err);
			change_print_totals(&c);
		}
		whole = c.whole;
		change_close(&c);
	}
	generation_release(&g);
	return whole;
}

static bool keep(const struct options *o, const struct trial *t, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	struct world w;
	bool by_daemon = false, kept;

	kept = world_open(&w, o, err) && find_daemon(&by_daemon, &w, err);
	world_close(&w);
	if (!kept || !is_whole(o, t, by_daemon, err))
		return false;
	*err = (struct error){0}; /* conflicts */
	if (!settle_file(t, err))
		return false;
	if (!trial_take(o, err))
		return err->code == ENOENT ? error_set(err, -1, "the time is over") : false;
	if (!o->quiet)
		say_line(stdout, "confirmed: %s is in force", digest_text(&a, t->digest));
	if (by_daemon) { /* so that it notices */
		struct options silent = *o;

		silent.quiet = true;
		ask_for_pass(&silent, 0);
	}
	return true;
}

static int say_no_trial(const struct options *o)
{
	say_error("no trial runs%s",
		  trial_rejected(o) ? ": it was not confirmed in time, and was rolled back" : "");
	return EXIT_FAILED;
}

static int confirm_yes(const struct options *o)
{
	AUTO_TRIAL struct trial t = {0};
	enum trial_state state = trial_look(&t, o);
	struct options of_trial = *o;
	struct error err = {0};

	if (state == TRIAL_NONE)
		return say_no_trial(o);
	of_trial.config = t.digest ? t.config : o->config;
	if (state == TRIAL_OVER) {
		say_error("too late: the time is over");
		end_trial(&of_trial);
		return EXIT_FAILED;
	}
	if (keep(&of_trial, &t, &err))
		return EXIT_FINE;
	error_wrap(&err, "not confirmed");
	return say_failed(&err);
}

static int confirm_no(const struct options *o)
{
	AUTO_TRIAL struct trial t = {0};
	struct options of_trial = *o;

	if (trial_look(&t, o) == TRIAL_NONE)
		return say_no_trial(o);
	of_trial.config = t.digest ? t.config : o->config;
	return end_trial(&of_trial);
}

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
			end_trial(o);
			return EXIT_FAILED;
		}
		usleep(POLL_MS * 1000);
	}
	if (last_good_is(o, began->texts.bytes.len, began->digest))
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
			"there is no last good generation to go back to (%s): apply a file "
			"without --confirm first, an empty one if nothing is to stand",
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
	t->trial.base = digest_of_file(config);
	t->trial.seconds = o->confirm_s ? o->confirm_s : TESTS_S;
	if (strchr(config, '\n'))
		return error_set(err, -1, "a line feed in %s", config);
	if (!o->confirm_s && !t->generation.config.tests.n)
		return error_set(err, -1, "--confirm tests: %s has no tests", t->tried.config);
	if (!has_way_back(o, err) || !lists_are_beside(t, err))
		return false;
	if (last_good_is(o, t->trial.texts.bytes.len, t->trial.digest))
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
	if (!find_daemon(&t->by_daemon, &t->change.world, err))
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
	if (verb_test(&o) == EXIT_FINE && digest_of_file(o.config) == t->trial.digest)
		return confirm_yes(t->options);
	say_error("the tests do not hold on this host: going back");
	end_trial(t->options);
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
	began = change_open(&t->change, &t->tried, &t->generation, t->trial.texts.bytes.len,
			    &err) &&
		begin(t, &err);
	whole = began && try_it(t, &err);
	change_close(&t->change); /* others may apply and confirm now */
	if (!began)
		return change_fail(&err);
	if (whole)
		return go_on(t);
	error_wrap(&err, "the trial is given up");
	say_failed(&err);
	end_trial(t->options);
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
