/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb apply: makes the host as the file says, or has the daemon do it. */
#include "app/answers/preview.h"
#include "app/change.h"
#include "app/confirm.h"
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "app/daemon/ask.h"
#include "app/daemon/trial.h"
#include "app/pass/last_good.h"

/* --accept: the file must be the one that was looked at. */
static bool is_accepted(const struct options *o, const struct generation *g, struct error *err)
{
	return !o->accept || o->accept == g->config.digest ||
	       error_set(err, -1,
			 "%s is no longer %016llx but %016llx: the file has changed; look at the "
			 "plan again",
			 o->config, (unsigned long long)o->accept,
			 (unsigned long long)g->config.digest);
}

/* A daemon that starts later begins with this file. */
static bool keep_last_good(const struct options *o, const struct texts *text,
			   const struct generation *g, struct error *err)
{
	return last_good_is(o, g->config.digest) ||
	       (last_good_propose(o, text, err) && last_good_accept(o, err));
}

/*
 * A daemon is running and changes the host by itself: ask it for a pass, or to accept a held file.
 */
static int apply_beside_daemon(struct change *c)
{
	struct pass pass = {0};
	struct error err = {0};
	uint64_t accept = c->options->accept;
	bool go_on = true;

	if (!ask_is_its_file(c->options))
		return EXIT_FAILED;
	if (c->asks && change_plan(c, &pass, &err) && pass.plan.steps.n) {
		go_on = change_agreed(c, &pass, &err);
		accept = c->generation->config.digest;
	}
	pass_release(&pass);
	if (err.text[0] || !go_on)
		return change_fail(&err);
	return ask_for_pass(c->options, accept);
}

/* The daemon would restore what this takes away. */
static int refuse_replace(const char *holder)
{
	say_error("a daemon manages this host (%s) and would interfere; stop it, run apply "
		  "--replace, and start it again: the rules stay meanwhile",
		  holder);
	return EXIT_FAILED;
}

/* A trial of this file ended without confirmation, and this command does not accept it. */
static bool is_rejected(const struct change *c)
{
	uint64_t digest = c->generation->config.digest;

	return digest == trial_rejected(c->options) && digest != c->options->accept;
}

static int apply(struct change *c, const struct texts *text)
{
	struct error err = {0}, unkept = {0};
	char holder[LOCK_TEXT];
	int status = EXIT_FINE;

	c->world.adopt = c->options->adopt;
	c->world.replace = c->options->replace;
	c->world.look_for_leftovers = true;
	if (!ask_holder(holder, &c->world, &err))
		return change_fail(&err);
	if (*holder && !lock_is_passing(holder))
		return c->options->replace ? refuse_replace(holder) : apply_beside_daemon(c);
	if (is_rejected(c)) {
		confirm_go_back(c->options);
		return EXIT_FAILED;
	}
	if (change_converge(c, &err))
		change_say_nothing_to_do(c);
	change_print_totals(c);
	if (err.text[0])
		status = change_fail(&err);
	if (c->any && !keep_last_good(c->options, text, c->generation, &unkept))
		status = change_fail(&unkept);
	else if (c->any)
		trial_forget_rejected(c->options);
	return status;
}

int verb_apply(const struct options *o)
{
	AUTO_TEXTS struct texts text = {0};
	struct generation g;
	struct change c;
	struct error err = {0};
	int status;

	if (o->confirm)
		return confirm_apply(o);
	if (!confirm_is_quiet(o))
		return EXIT_FAILED;
	if (!load_file(&g, &text, o))
		return EXIT_FAILED;
	if (!change_open(&c, o, &g, &err) || !is_accepted(o, &g, &err))
		status = change_fail(&err);
	else
		status = apply(&c, &text);
	change_close(&c);
	generation_release(&g);
	return status;
}
