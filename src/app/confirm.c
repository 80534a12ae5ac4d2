/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a trial ends: it is confirmed, or the last good generation is put back. */
#include "app/confirm.h"

#include "app/change.h"
#include "app/console/say.h"
#include "app/daemon/ask.h"
#include "app/daemon/trial.h"
#include "app/pass/last_good.h"
#include "edge/host/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- who else is there --- */

bool confirm_find_daemon(bool *found, const struct world *w, struct error *err)
{
	char holder[LOCK_TEXT];

	*found = false;
	if (!ask_holder(holder, w, err))
		return false;
	*found = *holder && !lock_is_passing(holder);
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

uint64_t confirm_digest(const char *path)
{
	AUTO_TEXTS struct texts texts = {0};
	struct error err = {0};

	if (!texts_read(&texts, path, TEXTS_PIPE_MS, &err))
		return 0;
	return texts_digest(&texts);
}

/* The file is somebody's work: it is not written over. */
static void tell_rejected(const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	uint64_t rejected = trial_rejected(o);

	if (!rejected || confirm_digest(o->config) != rejected) {
		trial_forget_rejected(o);
		return;
	}
	say_error("%s is still the file that nobody confirmed, and is not enforced: edit it, put "
		  "the last good one back (%s), or accept it: %s",
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
	if (!change_open(&c, o, good, &err) || !confirm_find_daemon(&by_daemon, &c.world, &err))
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

int confirm_end(const struct options *o)
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
	uint64_t now = confirm_digest(t->config);

	if (now == t->digest)
		return true;
	if (now != t->base)
		return error_set(err, -1,
				 "%s has changed since the trial began: copy what was tried over "
				 "it and confirm again, or let the time pass",
				 t->config);
	if (!put_in_place(t, err))
		return false;
	if (confirm_digest(t->config) == t->digest)
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
		if (change_open(&c, o, &g, err)) {
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

	kept = world_open(&w, o, err) && confirm_find_daemon(&by_daemon, &w, err);
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

int confirm_yes(const struct options *o)
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
		confirm_end(&of_trial);
		return EXIT_FAILED;
	}
	if (keep(&of_trial, &t, &err))
		return EXIT_FINE;
	error_wrap(&err, "not confirmed");
	return say_failed(&err);
}

int confirm_no(const struct options *o)
{
	AUTO_TRIAL struct trial t = {0};
	struct options of_trial = *o;

	if (trial_look(&t, o) == TRIAL_NONE)
		return say_no_trial(o);
	of_trial.config = t.digest ? t.config : o->config;
	return confirm_end(&of_trial);
}
