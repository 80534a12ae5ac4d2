/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb clear: removes everything of ours and restores what the host had before. */
#include "app/change.h"
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "app/daemon/ask.h"
#include "app/daemon/trial.h"
#include "app/pass/last_good.h"
#include "edge/firewall/handoff.h"

#include <stdio.h>

/* Forwarding first: with forwarding off, a FORWARD policy ACCEPT lets nothing through. */
static bool give_back(struct change *c, struct error *err)
{
	AUTO_BUF struct buf out = {0};
	const struct saved *saved = &c->world.saved;

	if (saved->trouble)
		return error_set(err, -1, "%s", saved->trouble);
	if (saved->forwarding_was_off && !ns_set_forward(&c->world.host, 4, 0, err))
		return false;
	if (saved->forwarding6_was_off && !ns_set_forward(&c->world.host, 6, 0, err))
		return false;
	if (saved->policy_was_accept &&
	    !handoff_set_forward_policy(&c->world.host, saved->variant, false, err))
		return false;
	change_print_owed(&out, c);
	if (!c->options->quiet)
		say_page(stdout, &out);
	c->done[1] += saved->forwarding_was_off;
	c->done[1] += saved->forwarding6_was_off;
	c->done[1] += saved->policy_was_accept;
	trial_forget(c->options);
	return saved_forget(saved, err) && last_good_forget(c->options, err);
}

static int refuse_clear(const char *holder)
{
	say_error("a daemon (%s) would write the rules again; stop it first", holder);
	return EXIT_FAILED;
}

static int show_clear(struct change *c)
{
	AUTO_BUF struct buf plan = {0};
	struct pass pass = {0};
	struct error err = {0};
	bool planned = change_plan(c, &pass, &err);

	if (planned)
		change_print_plan(&plan, c, &pass);
	say_page(stdout, &plan);
	pass_release(&pass);
	return planned ? EXIT_FINE : change_fail(&err);
}

static int clear(struct change *c)
{
	struct error err = {0};
	char holder[LOCK_TEXT];
	int status = EXIT_FINE;

	c->world.without_engine = true;
	c->world.keep_networks = !c->options->networks;
	if (!ask_holder(holder, &c->world, &err))
		return change_fail(&err);
	if (c->options->dry_run)
		status = show_clear(c);
	if (*holder && !lock_is_passing(holder))
		return refuse_clear(holder);
	if (c->options->dry_run)
		return status;
	if (change_converge(c, &err) && give_back(c, &err))
		change_say_nothing_to_do(c);
	change_print_totals(c);
	if (!err.text[0])
		err = c->world.engine_trouble;
	return err.text[0] ? change_fail(&err) : EXIT_FINE;
}

int verb_clear(const struct options *o)
{
	struct change c;
	struct error err = {0};
	int status = change_open(&c, o, NULL, &err) ? clear(&c) : change_fail(&err);

	change_close(&c);
	return status;
}
