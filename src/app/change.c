/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/change.h"

#include "app/answers/preview.h"
#include "app/console/say.h"
#include "app/daemon/ask.h"
#include "app/world/written.h"
#include "base/hash.h"
#include "edge/firewall/nft.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	MAX_PASSES = 4, /* of one apply; the last pass finds nothing to do */
	/* how often to plan again while others change the host and a person thinks */
	MAX_LOOKS = 8,
	DECLINED = -2, /* code of an error: nothing went wrong, somebody said no */
};

static const char signs[N_SIGNS] = {'+', '~', '-'};
static const char *const sign_words[N_SIGNS] = {"added", "changed", "removed"};

/* --- Ctrl-C --- */

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number UNUSED)
{
	static const char text[] =
		"\nharborwall: stopping after this step; press Ctrl-C again to stop at once\n";

	interrupted = 1;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
}

/* The second Ctrl-C is not caught: it ends the program. The next apply finds what is left. */
static void catch_interrupts(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = note_interrupt,
				   .sa_flags = SA_RESTART | (int)SA_RESETHAND},
			 before;

	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		if (!sigaction(numbers[i], NULL, &before) && before.sa_handler == SIG_DFL)
			sigaction(numbers[i], &action, NULL);
}

/* --- what is told --- */

static const char *const outcome_words[] = {
	[OUTCOME_DONE] = "", [OUTCOME_FAILED] = "FAILED: ", [OUTCOME_SKIPPED] = "skipped: "};

static const char *step_line(struct buf *out, const struct step *step, enum outcome_kind kind)
{
	buf_printf(out, "%c %-10s %s%s%s%s%s", step->sign, step->object, outcome_words[kind],
		   step->text, *step->why ? "  (" : "", step->why, *step->why ? ")" : "");
	return buf_text(out);
}

static void print_step(const struct step *step, enum outcome_kind kind)
{
	AUTO_BUF struct buf line = {0};

	say_line(stdout, "%s", step_line(&line, step, kind));
}

/* Printed before a step that may take some time. */
static void begin_line(const struct change *c, const struct pass *p, uint32_t i)
{
	AUTO_BUF struct buf line = {0};
	char width[12];

	if (!c->live)
		return;
	say_begin(stdout, "[%*u/%u] ", snprintf(width, sizeof(width), "%u", p->plan.steps.n), i + 1,
		  p->plan.steps.n);
	say_begin(stdout, "%s", step_line(&line, &p->plan.steps.items[i], OUTCOME_DONE));
}

static void end_line(const struct change *c, const struct pass *p, uint32_t i)
{
	enum outcome_kind kind = p->outcomes[i].kind;

	if (c->live)
		say_line(stdout, "%s",
			 kind == OUTCOME_DONE	  ? ""
			 : kind == OUTCOME_FAILED ? ": FAILED"
						  : ": skipped");
	else if (!c->options->quiet && kind == OUTCOME_DONE)
		print_step(&p->plan.steps.items[i], kind);
}

/* A failed step is tried again in the next pass; only the last pass reports it. */
static void print_failures(struct change *c, const struct pass *p)
{
	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct outcome *outcome = &p->outcomes[i];

		c->failed += outcome->kind == OUTCOME_FAILED;
		c->skipped += outcome->kind == OUTCOME_SKIPPED;
		if (!c->live && !c->options->quiet && outcome->kind != OUTCOME_DONE)
			print_step(&p->plan.steps.items[i], outcome->kind);
		if (outcome->kind == OUTCOME_FAILED)
			say_error("%s", outcome->why);
	}
	if (p->trouble.text[0])
		say_error("revoke: %s", p->trouble.text);
}

static void add_total(struct buf *out, uint32_t n, const char *what)
{
	if (n)
		buf_printf(out, "%s%u %s", out->len ? ", " : "", n, what);
}

void change_print_totals(const struct change *c)
{
	AUTO_BUF struct buf out = {0};

	if (c->options->quiet)
		return;
	for (size_t i = 0; i < N_SIGNS; i++)
		add_total(&out, c->done[i], sign_words[i]);
	add_total(&out, c->failed, "failed");
	add_total(&out, c->skipped, "skipped");
	add_total(&out, c->revoked, c->revoked == 1 ? "connection ended" : "connections ended");
	if (out.len)
		say_line(stdout, "%s", buf_text(&out));
}

/* --- what the host had before us --- */

static bool owes(const struct change *c)
{
	const struct saved *saved = &c->world.saved;

	return c->clears && (saved->forwarding_was_off || saved->forwarding6_was_off ||
			     saved->policy_was_accept);
}

void change_print_owed(struct buf *out, const struct change *c)
{
	if (owes(c) && c->world.saved.forwarding_was_off)
		buf_puts(out, "~ forwarding host: net.ipv4.ip_forward = 0, as it was\n");
	if (owes(c) && c->world.saved.forwarding6_was_off)
		buf_puts(out, "~ forwarding host: net.ipv6.conf.all.forwarding = 0, as it was\n");
	if (owes(c) && c->world.saved.policy_was_accept)
		buf_puts(out, "~ policy     host: FORWARD policy ACCEPT, as it was\n");
}

/* --- the question --- */

static bool says_yes(void)
{
	char answer[16] = "";

	say_begin(stdout, "Go on? [y/N] ");
	if (!fgets(answer, sizeof(answer), stdin)) {
		say_line(stdout, "%s", "");
		return false;
	}
	answer[strcspn(answer, "\n")] = '\0';
	return !strcasecmp(answer, "y") || !strcasecmp(answer, "yes");
}

void change_print_plan(struct buf *out, struct change *c, struct pass *p)
{
	if (!c->clears)
		compare_with_file_in_force(p, c->generation, c->options);
	if (p->plan.steps.n || !owes(c))
		print_plan(out, p, c->generation, c->options);
	change_print_owed(out, c);
}

/* If nobody is asked, print at least what the file opens and closes. */
static void print_flows(struct change *c, struct pass *p)
{
	AUTO_BUF struct buf flows = {0};

	if (c->clears || c->options->quiet)
		return;
	compare_with_file_in_force(p, c->generation, c->options);
	buf_puts(&flows, p->plan.flows ? p->plan.flows : "");
	say_page(stdout, &flows);
}

/* Runs once for every plan that is shown. */
bool change_agreed(struct change *c, struct pass *p, struct error *err)
{
	AUTO_BUF struct buf plan = {0};
	uint64_t hash;

	if (!c->asks || c->any)
		return true;
	change_print_plan(&plan, c, p);
	hash = hash_bytes(plan.data, plan.len);
	c->answered = hash != c->shown;
	if (!c->answered)
		return true;
	if (c->shown)
		say_line(stdout, "the host has changed meanwhile");
	c->shown = hash;
	say_page(stdout, &plan);
	/* other processes must not wait for a person who thinks */
	close_at_exit_of_scope(&c->lock);
	c->lock = -1;
	return says_yes() || error_set(err, DECLINED, "nothing was done");
}

/* --- passes --- */

bool change_plan(struct change *c, struct pass *p, struct error *err)
{
	struct error none = {0};

	c->unlocked = c->lock < 0 && fw_nft_generation(&c->before, &c->world.host, &none);
	if (c->unlocked && !ask_holder(c->holder, &c->world, err))
		return false;
	if (!pass_plan(p, &c->world, c->generation, err))
		return false;
	list_each (step, &p->plan.steps)
		if (c->clears) /* clear has no file, and no policy changed */
			step->why = "";
	return true;
}

/*
 * Taking the lock is itself a transaction. If nobody held the lock when the plan was made, and our
 * transaction is the first one since, then no other harborwall changed anything in between. While a
 * person is thinking, anybody may have. *fresh: the plan is still valid.
 */
static bool take_lock(bool *fresh, struct change *c, struct error *err)
{
	uint32_t now = 0;

	*fresh = true;
	if (c->lock >= 0)
		return true;
	c->lock = ask_for_lock(c->options->verb, err);
	if (c->lock < 0 || (c->unlocked && !fw_nft_generation(&now, &c->world.host, err)))
		return false;
	if (c->unlocked && now == c->before + 1)
		written_skip(&c->world, c->before);
	*fresh = !c->answered && (!c->unlocked || (!*c->holder && now == c->before + 1));
	return true;
}

/* False: it was interrupted. */
static bool take_steps(struct change *c, struct pass *p)
{
	uint32_t i = 0;

	pass_begin(p, &c->world);
	for (; i < p->plan.steps.n && !interrupted; i++) {
		begin_line(c, p, i);
		pass_take(p, &c->world, i);
		end_line(c, p, i);
		for (size_t s = 0; s < N_SIGNS; s++)
			c->done[s] += p->outcomes[i].kind == OUTCOME_DONE &&
				      p->plan.steps.items[i].sign == signs[s];
	}
	pass_end(p, &c->world);
	c->revoked += p->n_revoked;
	c->any = true;
	c->steps = p->plan.steps.n;
	c->left = c->steps - i;
	return !c->left;
}

enum turn { TURN_CLEAN, TURN_WORKED, TURN_STUCK, TURN_AGAIN, TURN_ENDED };

static enum turn turn(struct change *c, struct pass *p, bool last, struct error *err)
{
	bool clean, changes, worked, fresh = true;

	if (!change_plan(c, p, err) || replace_refused(p, c->options, err))
		return TURN_ENDED;
	clean = !p->plan.steps.n;
	changes = !clean || (owes(c) && !c->any);
	if (changes && !change_agreed(c, p, err))
		return TURN_ENDED;
	/* another harborwall may be about to create what there is to undo */
	if ((changes || (c->lock < 0 && *c->holder)) && !take_lock(&fresh, c, err))
		return TURN_ENDED;
	if (!fresh)
		return TURN_AGAIN;
	if (changes && !c->asks && !c->any)
		print_flows(c, p);
	if (changes)
		catch_interrupts();
	if (!take_steps(c, p)) {
		error_set(err, -1, "interrupted: %u of %u steps are left; run %s again", c->left,
			  c->steps, c->options->verb);
		return TURN_ENDED;
	}
	c->world.replace = NULL; /* put back what failed, do not try again */
	c->whole = clean && !p->trouble.text[0];
	if (c->whole)
		return pass_has_conflicts(p) ? TURN_STUCK : TURN_CLEAN;
	worked = p->n_done || p->n_revoked;
	if (!worked || last)
		print_failures(c, p);
	return worked ? TURN_WORKED : TURN_STUCK;
}

bool change_converge(struct change *c, struct error *err)
{
	enum turn result = TURN_AGAIN;

	for (int passes = 0, looks = 0; passes < MAX_PASSES && looks < MAX_LOOKS;) {
		struct pass pass = {0};
		bool last = passes == MAX_PASSES - 1;

		result = turn(c, &pass, last, err);
		if (!c->options->quiet && (result == TURN_CLEAN || result == TURN_STUCK ||
					   (result == TURN_WORKED && last)))
			say_findings(stdout, &pass);
		pass_release(&pass);
		if (result == TURN_CLEAN || result == TURN_ENDED)
			return result == TURN_CLEAN;
		if (result == TURN_STUCK)
			return error_set(err, -1, "not converged");
		passes += result == TURN_WORKED;
		looks += result == TURN_AGAIN;
	}
	if (result == TURN_AGAIN)
		return error_set(err, -1, "other programs keep changing this host; try again");
	return error_set(err, -1,
			 "not converged after %d passes: another program undoes the changes",
			 MAX_PASSES);
}

void change_say_nothing_to_do(const struct change *c)
{
	for (size_t i = 0; i < N_SIGNS; i++)
		if (c->done[i])
			return;
	if (!c->options->quiet)
		say_line(stdout, "nothing to do");
}

int change_fail(const struct error *err)
{
	if (err->code != DECLINED)
		return say_failed(err);
	say_line(stdout, "%s", err->text);
	return EXIT_FAILED;
}

bool change_open(struct change *c, const struct options *o, const struct generation *g,
		 struct error *err)
{
	static const struct generation nothing;
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	interrupted = 0;
	*c = (struct change){.options = o,
			     .generation = g ? g : &nothing,
			     .clears = !g,
			     .asks = terminal && !o->yes && !o->accept,
			     .live = isatty(STDOUT_FILENO) && !o->quiet,
			     .lock = -1};
	return world_open(&c->world, o, err);
}

void change_close(struct change *c)
{
	close_at_exit_of_scope(&c->lock);
	world_close(&c->world);
}
